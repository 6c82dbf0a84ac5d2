# The generics of a cluster: parallel's, which exports them from R 4.4 on only, and those of package snow, which doSNOW uses.

register_cluster_generics <- function(package) {
  namespace <- asNamespace(package)
  methods <- list(sendData = sendData_roost_seat, recvData = recvData_roost_seat, closeNode = closeNode_roost_seat)
  for (generic in names(methods)) registerS3method(generic, "roost_seat", methods[[generic]], envir = namespace)
  methods <- list(recvOneData = recvOneData_roost_cluster, stopCluster = stopCluster_roost_cluster)
  for (generic in names(methods)) registerS3method(generic, "roost_cluster", methods[[generic]], envir = namespace)
}

register_snow <- function(...) register_cluster_generics("snow")
