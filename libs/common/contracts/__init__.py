"""What services say to each other: the envelope, the event catalogue and the topics. Pure."""
