"""What is in a graph."""


def all_nodes(graph):
  """The nodes of a graph and of the functions it holds."""
  graph_def = graph.as_graph_def()
  return list(graph_def.node) + [
      node for function in graph_def.library.function for node in function.node_def]
