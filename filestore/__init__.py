"""What the two file servers share: settings, accounts, and a folder in which no file is overwritten."""
