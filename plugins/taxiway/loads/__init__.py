"""What a load is, independent of the warehouse.

- attempts: what a step does with the ledger's attempts
- deletions: decides whether a file may delete published rows
- file_months: what a month must hold by its file
- known_samples: whether a loaded file is a sample
- load: which month of which source
- maintenance: decides what a warehouse no longer needs
- month: what each step does
- month_state: how a month stands, for people
- plan: says what a load of each month would do
- publication: decides whether a month may be published
- published_months: what a warehouse answers about its published months (a protocol)
- row_identity: how ids are made
- step_names: names of the steps
- steps: the steps in their order
- warehouse: what the steps ask of a warehouse (a protocol)
- watch: decides which months are loaded because their files are new or changed
"""
