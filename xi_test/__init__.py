"""An example service: articles, their comments, and who may write them."""
