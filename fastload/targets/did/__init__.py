"""The DID API: enrolment of wallets with a biometric hash, and verification."""
