"""What a load is, in no warehouse's words.

``load`` which one; ``steps``, ``step_names``, ``month`` what is done, in which order; ``warehouse`` and
``published_months`` what is asked of a warehouse; ``attempts``, ``publication``, ``row_identity`` what is decided.
"""
