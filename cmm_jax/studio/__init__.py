"""The studio: a page in the browser that makes the smiles of a photo.

python -m cmm_jax.studio [--port=7860]

Gradio serves the page; `tabs/` has a file per tab. Photos stay in memory, and
what is made of them lies in a folder that is emptied.
"""
