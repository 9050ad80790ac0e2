"""Where the services meet their adapters: the only code above both services and storage that knows how parts fit."""
