"""What runs inside the sandbox's own interpreters. Standard library only: started with no site and no packages."""
