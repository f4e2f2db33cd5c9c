// swift-tools-version: 6.2
import PackageDescription

// Exclusive access is checked while running in debug builds, which all tests use; in a release build the checks of a
// worker's own state cost 5 % of a cached hit.
let swift: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .unsafeFlags(["-enforce-exclusivity=unchecked"], .when(configuration: .release)),
]

let package = Package(
    name: "gatehouse",
    products: [
        .executable(name: "gatehouse", targets: ["gatehouse"]),
        .executable(name: "compute-simulator", targets: ["compute-simulator"]),
        .executable(name: "gatehouse-bench", targets: ["gatehouse-bench"]),
    ],
    dependencies: [
        .package(url: "https://github.com/jpsim/Yams", exact: "6.2.2"),
        .package(url: "https://github.com/apple/swift-argument-parser", exact: "1.8.2"),
        .package(url: "https://github.com/apple/swift-log", exact: "1.16.2"),
    ],
    targets: [
        .target(name: "CLinux"),
        .target(name: "COpenSSL"),
        .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
        .systemLibrary(name: "CNghttp2", pkgConfig: "libnghttp2", providers: [.apt(["libnghttp2-dev"])]),
        .systemLibrary(name: "CHiredis", providers: [.apt(["libhiredis-dev"])]),
        .systemLibrary(name: "CRabbitMQ", providers: [.apt(["librabbitmq-dev"])]),
        .target(name: "Bytes", swiftSettings: swift),
        .target(name: "HTTP", dependencies: ["Bytes", "CNghttp2", "CZlib"], swiftSettings: swift),
        .target(name: "TLS", dependencies: ["Bytes", "COpenSSL"], swiftSettings: swift),
        .target(name: "Loop", dependencies: ["Bytes", "CLinux"], swiftSettings: swift),
        .target(
            name: "OpenStack", dependencies: ["Bytes", "HTTP", .product(name: "Yams", package: "Yams")],
            swiftSettings: swift),
        .target(
            name: "Gateway",
            dependencies: [
                "Bytes", "HTTP", "TLS", "Loop", "OpenStack", "COpenSSL", "CHiredis", "CRabbitMQ",
                .product(name: "Yams", package: "Yams"),
                .product(name: "Logging", package: "swift-log"),
            ], swiftSettings: swift),
        .executableTarget(
            name: "gatehouse",
            dependencies: [
                "Bytes", "Gateway", "OpenStack",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"), .product(name: "Yams", package: "Yams"),
            ], swiftSettings: swift),
        .executableTarget(
            name: "compute-simulator",
            dependencies: [
                "Bytes", "HTTP", "Loop", "COpenSSL",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ], swiftSettings: swift),
        .executableTarget(
            name: "gatehouse-bench",
            dependencies: [
                "Bytes", "Loop", "OpenStack", "Gateway",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ], swiftSettings: swift),
        .testTarget(name: "BytesTests", dependencies: ["Bytes"], swiftSettings: swift),
        .testTarget(name: "HTTPTests", dependencies: ["HTTP", "Bytes", "CNghttp2"], swiftSettings: swift),
        .target(name: "COpenSSLLedger", dependencies: ["COpenSSL"], path: "Tests/COpenSSLLedger"),
        .testTarget(
            name: "TLSTests", dependencies: ["TLS", "Bytes", "COpenSSL", "COpenSSLLedger"],
            swiftSettings: swift),
        .testTarget(name: "LoopTests", dependencies: ["Loop", "Bytes"], swiftSettings: swift),
        .testTarget(
            name: "OpenStackTests", dependencies: ["OpenStack", "HTTP", "Bytes"], swiftSettings: swift),
        .testTarget(
            name: "GatewayTests",
            dependencies: ["Gateway", "OpenStack", "HTTP", "Loop", "Bytes", "CZlib", "COpenSSL"],
            swiftSettings: swift),
        .testTarget(
            name: "SimulatorTests", dependencies: ["compute-simulator", "HTTP", "Loop", "Bytes"],
            swiftSettings: swift),
        .testTarget(
            name: "gatehouseTests",
            dependencies: [
                "gatehouse", "Gateway", "OpenStack", "Bytes",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: swift),
        .testTarget(
            name: "ScenarioTests", dependencies: ["CNghttp2", "COpenSSL", "CZlib"], swiftSettings: swift),
        .testTarget(name: "StructureTests", swiftSettings: swift),
    ]
)
