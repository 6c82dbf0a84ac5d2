# Methods for other packages' generics: registered when this package is loaded, or when the other one is.

.onLoad <- function(libname, pkgname) {
  register_vignette_engine(pkgname)
  learn_mark_of_copies()
  register_cluster_generics("parallel")
  when_loaded("snow", register_snow)
  when_loaded("parallelly", register_parallelly)
  when_loaded("future", register_future)
}

when_loaded <- function(package, register) {
  if (isNamespaceLoaded(package)) register()
  setHook(packageEvent(package, "onLoad"), register)
}
