"""The target ``did``: enrolment of wallets with a biometric hash, and verification."""
