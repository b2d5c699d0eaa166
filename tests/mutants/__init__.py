"""How strong the unit tests are: ``make mutants``."""
