"""How experience is gathered: compiled, or through Gymnasium. Imports agents and environments."""
