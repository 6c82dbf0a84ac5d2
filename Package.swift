// swift-tools-version: 6.3
import PackageDescription

/// One list for every target: strict language features on, and every warning an error.
let settings: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .treatAllWarnings(as: .error),
    .treatWarning("StrictLanguageFeatures", as: .error),
]

let nioCore = Target.Dependency.product(name: "NIOCore", package: "swift-nio")
let nioPosix = Target.Dependency.product(name: "NIOPosix", package: "swift-nio")
let nioEmbedded = Target.Dependency.product(name: "NIOEmbedded", package: "swift-nio")
let nioSSL = Target.Dependency.product(name: "NIOSSL", package: "swift-nio-ssl")
let crypto = Target.Dependency.product(name: "Crypto", package: "swift-crypto")
let x509 = Target.Dependency.product(name: "X509", package: "swift-certificates")
let asn1 = Target.Dependency.product(name: "SwiftASN1", package: "swift-asn1")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let deque = Target.Dependency.product(name: "DequeModule", package: "swift-collections")
let heap = Target.Dependency.product(name: "HeapModule", package: "swift-collections")
let argumentParser = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")
let lifecycle = Target.Dependency.product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
let grdb = Target.Dependency.product(name: "GRDB", package: "GRDB.swift")
let sqlite = Target.Dependency.product(name: "GRDBSQLite", package: "GRDB.swift")
let unixSignals = Target.Dependency.product(name: "UnixSignals", package: "swift-service-lifecycle")

let package = Package(
    name: "roost",
    products: [
        .executable(name: "roost", targets: ["roost"]),
        .library(name: "Roost", targets: ["Roost"]),
        .library(name: "RoostEmbedded", targets: ["RoostEmbedded"]),
        .library(name: "RSerialization", targets: ["RSerialization"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-nio.git", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-ssl.git", from: "2.37.6"),
        .package(url: "https://github.com/apple/swift-crypto.git", from: "4.5.2"),
        .package(url: "https://github.com/apple/swift-certificates.git", from: "1.21.1"),
        .package(url: "https://github.com/apple/swift-asn1.git", from: "1.7.4"),
        .package(url: "https://github.com/apple/swift-log.git", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-collections.git", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-argument-parser.git", from: "1.8.2"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle.git", from: "2.13.0"),
        .package(url: "https://github.com/groue/GRDB.swift.git", from: "7.10.0"),
    ],
    targets: [
        .target(name: "RoostModel", swiftSettings: settings),
        .target(name: "RoostScheduler", dependencies: ["RoostModel", deque, heap], swiftSettings: settings),
        .target(
            name: "RoostWire",
            dependencies: ["RoostModel", nioCore, nioPosix, nioSSL, crypto, x509, asn1, logging],
            swiftSettings: settings + [.strictMemorySafety()]),
        .target(
            name: "RoostServer",
            dependencies: [
                "RoostModel", "RoostScheduler", "RoostWire", "RoostStore", nioCore, nioPosix, logging, lifecycle, deque,
            ],
            swiftSettings: settings),
        .target(
            name: "RoostStore",
            dependencies: ["RoostModel", "RoostScheduler", "RoostWire", grdb, sqlite, crypto, nioCore],
            swiftSettings: settings),
        // The Linux calls that the Glibc module leaves out, and the start of a process.
        .target(name: "CRoostLinux"),
        .target(
            name: "RoostNode",
            dependencies: [
                "RoostModel", "RoostWire", "RSerialization", "CRoostLinux", nioCore, nioPosix, logging, lifecycle, deque,
            ],
            resources: [.embedInCode("R/worker.R")],
            swiftSettings: settings),
        .target(
            name: "Roost",
            dependencies: ["RoostModel", "RoostWire", nioCore, nioPosix, logging, lifecycle, deque],
            swiftSettings: settings),
        .target(name: "RSerialization", swiftSettings: settings + [.strictMemorySafety()]),
        .target(
            name: "RoostEmbedded",
            dependencies: ["RoostModel", "RoostServer", "RoostNode", "Roost", nioCore, nioPosix, logging],
            swiftSettings: settings),
        .target(
            name: "RoostBridge",
            dependencies: ["RoostModel", "RSerialization", "RoostNode", "Roost", "CRoostLinux", nioCore, nioPosix, deque],
            swiftSettings: settings),
        .target(
            name: "RoostTesting",
            dependencies: ["RoostModel", "RoostScheduler", "RoostWire", "RoostNode", "Roost", nioCore, nioEmbedded],
            path: "Sources/RoostTesting",
            swiftSettings: settings),
        .target(
            name: "RoostCommand",
            dependencies: [
                "RoostModel", "RoostWire", "RoostServer", "RoostNode", "Roost", "RoostEmbedded", "RoostBridge",
                "RoostStore", "RoostScheduler", "RSerialization", "CRoostLinux", argumentParser, logging, lifecycle,
                unixSignals, nioCore, nioPosix,
            ],
            swiftSettings: settings),
        .executableTarget(
            name: "example-primes", dependencies: ["Roost", "RoostEmbedded"], path: "examples/primes",
            swiftSettings: settings),
        .executableTarget(name: "roost", dependencies: ["RoostCommand"], swiftSettings: settings),
        .testTarget(name: "RoostModelTests", dependencies: ["RoostModel"], swiftSettings: settings),
        .testTarget(
            name: "RoostSchedulerTests", dependencies: ["RoostScheduler", "RoostModel", "RoostTesting"],
            swiftSettings: settings),
        .testTarget(
            name: "RoostStoreTests",
            dependencies: ["RoostStore", "RoostModel", "RoostScheduler", "RoostWire", grdb], swiftSettings: settings),
        .testTarget(
            name: "RoostWireTests",
            dependencies: [
                "RoostWire", "RoostModel", "RoostTesting", nioCore, nioPosix, nioEmbedded, nioSSL, x509, logging,
            ],
            swiftSettings: settings),
        .testTarget(name: "RSerializationTests", dependencies: ["RSerialization"], swiftSettings: settings),
        .testTarget(
            name: "RoostNodeTests",
            dependencies: ["RoostNode", "RoostModel", "RoostWire", "RoostTesting", "roost", nioCore, logging],
            swiftSettings: settings),
        .testTarget(
            name: "RoostServerTests",
            dependencies: ["RoostServer", "RoostScheduler", "RoostWire", "RoostModel", nioCore, nioEmbedded, logging],
            swiftSettings: settings),
        .testTarget(
            name: "RoostTests",
            dependencies: ["Roost", "RoostEmbedded", "RoostModel", "RoostTesting", "example-primes"],
            swiftSettings: settings),
        .testTarget(
            name: "RoostBridgeTests",
            dependencies: ["RoostBridge", "RSerialization", "RoostEmbedded", "Roost", "RoostModel", "roost", nioCore],
            swiftSettings: settings),
        .testTarget(
            name: "RoostCommandTests",
            dependencies: ["RoostCommand", "RoostModel", "RoostScheduler", "RoostStore", "roost"], swiftSettings: settings),
        .testTarget(
            name: "SimulationTests", dependencies: ["RoostTesting", "RoostModel", "RoostScheduler", "RoostNode", "Roost"],
            swiftSettings: settings),
        .testTarget(
            name: "IntegrationTests",
            dependencies: [
                "Roost", "RoostEmbedded", "RoostServer", "RoostNode", "RoostWire", "RoostModel", "RoostStore", "RoostTesting",
                "RSerialization", "roost", nioCore, nioPosix,
            ],
            swiftSettings: settings),
    ]
)
