# The generics of parallel's clusters are exported from R 4.4 on only, so their methods are registered here.

.onLoad <- function(libname, pkgname) {
  register_vignette_engine(pkgname)
  parallel <- asNamespace("parallel")
  registerS3method("sendData", "roost_seat", sendData_roost_seat, envir = parallel)
  registerS3method("recvData", "roost_seat", recvData_roost_seat, envir = parallel)
  registerS3method("closeNode", "roost_seat", closeNode_roost_seat, envir = parallel)
  registerS3method("recvOneData", "roost_cluster", recvOneData_roost_cluster, envir = parallel)
  registerS3method("stopCluster", "roost_cluster", stopCluster_roost_cluster, envir = parallel)
  if (isNamespaceLoaded("parallelly")) register_parallelly()
  setHook(packageEvent("parallelly", "onLoad"), register_parallelly)
  if (isNamespaceLoaded("future")) register_future()
  setHook(packageEvent("future", "onLoad"), register_future)
}
