/// Where this process is in the trees of cgroups v1 and v2, as texts of /proc say it.
///
/// Pure: everything is computed from the texts of two files.
package struct Cgroup: Equatable, Sendable {
    /// The directory of our group in the v2 tree, and the tree's root; nil when there is none.
    package var unified: String?
    package var unifiedRoot: String?
    /// The directory of our group, and its tree's root, for each v1 controller.
    package var controllers: [String: Place] = [:]

    /// A group's directory and the highest directory above it that we can see.
    package struct Place: Equatable, Sendable {
        package var directory: String
        package var root: String
    }

    /// - Parameters:
    ///   - membership: `/proc/self/cgroup`: lines of `id:controllers:path`, with `0::path` for v2
    ///   - mounts: `/proc/self/mountinfo`
    package init(membership: String, mounts: String) {
        var places: [(kind: Substring, options: [Substring], root: String, point: String)] = []
        for line in mounts.split(separator: "\n") {
            // 36 35 98:0 /root /point options optional… - type source superoptions
            let words = line.fields()
            guard let dash = words.firstIndex(of: "-"), dash + 3 < words.count, words.count > 5 else { continue }
            places.append(
                (words[dash + 1], words[dash + 3].split(separator: ","), String(words[3]), String(words[4])))
        }
        for line in membership.split(separator: "\n") {
            let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard parts.count == 3 else { continue }
            if parts[0] == "0", parts[1].isEmpty {
                guard let place = places.first(where: { $0.kind == "cgroup2" }) else { continue }
                unified = Self.directory(of: String(parts[2]), root: place.root, point: place.point)
                unifiedRoot = place.point
                continue
            }
            for controller in parts[1].split(separator: ",") {
                guard let place = places.first(where: { $0.kind == "cgroup" && $0.options.contains(controller) })
                else { continue }
                controllers[String(controller)] = Place(
                    directory: Self.directory(of: String(parts[2]), root: place.root, point: place.point),
                    root: place.point)
            }
        }
    }

    /// A container often sees only its own part of the tree, mounted at `point`: then `path` starts with the
    /// part's `root`.
    private static func directory(of path: String, root: String, point: String) -> String {
        var rest = path
        if root != "/" {
            if path == root { return point }
            guard path.hasPrefix(root + "/") else { return point }
            rest = String(path.dropFirst(root.count))
        }
        // A path that leads out of the namespace cannot be followed; the mount point is what we see of it.
        if rest == "/" || rest.hasPrefix("/..") { return point }
        return point + rest
    }

    /// `directory` and every directory above it, up to `root`.
    package static func chain(from directory: String, upTo root: String) -> [String] {
        var chain = [directory]
        var current = directory
        while current != root, current.hasPrefix(root), let slash = current.lastIndex(of: "/"),
            slash > current.startIndex
        {
            current = String(current[..<slash])
            chain.append(current)
        }
        return chain
    }

    /// The group this process is in now.
    package static func current() -> Cgroup {
        Cgroup(
            membership: TextFile.text("/proc/self/cgroup") ?? "", mounts: TextFile.text("/proc/self/mountinfo") ?? "")
    }
}
