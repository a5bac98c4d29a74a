"""The target ``sequencer``: validates, orders and stores batches of events."""
