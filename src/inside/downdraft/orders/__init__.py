"""What stands between the controller and a step: the folder of orders, the lock, progress and what the server does."""
