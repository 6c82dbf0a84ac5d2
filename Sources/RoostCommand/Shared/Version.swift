/// Which Roost this is.
package enum RoostVersion {
    package static let text = "0.1.0"
}
