import Foundation
import Glibc

/// Counts calls of `malloc` and its kin, by a library that is loaded before the system's.
///
/// - Shape: the program builds the library with the C compiler at hand and becomes itself again with it loaded, since what is
///   linked later would count only what it calls itself.
enum Allocations {
    private static let symbol = "gatehouse_bench_allocations"
    private static let directoryVariable = "GATEHOUSE_BENCH_LIBRARY"

    /// glibc has its own functions under a second name each, so none has to be looked for, which would allocate.
    private static let source = """
        #include <errno.h>
        #include <stddef.h>
        extern void *__libc_malloc(size_t);
        extern void *__libc_calloc(size_t, size_t);
        extern void *__libc_realloc(void *, size_t);
        extern void *__libc_memalign(size_t, size_t);
        static unsigned long count;
        static void add(void) { __atomic_fetch_add(&count, 1, __ATOMIC_RELAXED); }
        unsigned long \(symbol)(void) { return __atomic_load_n(&count, __ATOMIC_RELAXED); }
        void *malloc(size_t size) { add(); return __libc_malloc(size); }
        void *calloc(size_t items, size_t size) { add(); return __libc_calloc(items, size); }
        void *realloc(void *old, size_t size) { add(); return __libc_realloc(old, size); }
        void *memalign(size_t alignment, size_t size) { add(); return __libc_memalign(alignment, size); }
        void *aligned_alloc(size_t alignment, size_t size) { add(); return __libc_memalign(alignment, size); }
        int posix_memalign(void **result, size_t alignment, size_t size) {
            add();
            *result = __libc_memalign(alignment, size);
            return *result || !size ? 0 : ENOMEM;
        }
        """

    /// How many there were since the start.
    typealias Counter = @convention(c) () -> UInt

    /// The counter, once the program runs with the library.
    static func counter() -> Counter? {
        guard let found = dlsym(nil, symbol) else { return nil }
        return unsafeBitCast(found, to: Counter.self)
    }

    /// Starts the program anew with the library; comes back only when it already runs with it.
    ///
    /// - Errors: no C compiler, or one that fails.
    static func begin() throws {
        if counter() != nil {
            // Loaded, so the file is of no more use; children are not to be counted.
            if let path = ProcessInfo.processInfo.environment[directoryVariable] {
                try? FileManager.default.removeItem(atPath: path)
            }
            unsetenv("LD_PRELOAD")
            try check()
            return
        }
        let directory = FileManager.default.temporaryDirectory.appendingPathComponent(
            "gatehouse-bench-\(getpid())")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        let text = directory.appendingPathComponent("allocations.c")
        let library = directory.appendingPathComponent("allocations.so")
        try source.write(to: text, atomically: true, encoding: .utf8)
        guard compile(text.path, library.path) else {
            try? FileManager.default.removeItem(at: directory)
            throw BenchFailure(
                "allocations cannot be counted: no C compiler (cc, clang, gcc) builds the library")
        }
        setenv("LD_PRELOAD", library.path, 1)
        setenv(directoryVariable, directory.path, 1)
        var arguments = CommandLine.arguments.map { strdup($0) } + [nil]
        execv("/proc/self/exe", &arguments)
        throw BenchFailure("the program cannot start itself: errno \(errno)")
    }

    private static func compile(_ text: String, _ library: String) -> Bool {
        for compiler in ["cc", "clang", "gcc"] {
            let process = Process()
            process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
            process.arguments = [compiler, "-O2", "-shared", "-fPIC", "-fno-builtin", "-o", library, text]
            process.standardError = FileHandle.nullDevice
            guard (try? process.run()) != nil else { continue }
            process.waitUntilExit()
            if process.terminationStatus == 0 { return true }
        }
        return false
    }

    /// A counter that stands still would find no allocation anywhere.
    private static func check() throws {
        guard let counter = counter() else { return }
        let before = counter()
        var objects: [Counted] = []
        objects.reserveCapacity(100)
        for number in 0..<100 { objects.append(Counted(number)) }
        let counted = counter() - before
        guard objects.count == 100, counted >= 101 else {
            throw BenchFailure("the counter saw \(counted) of 101 allocations")
        }
    }

    private final class Counted {
        let number: Int
        init(_ number: Int) { self.number = number }
    }
}

/// Why a measurement could not be made.
struct BenchFailure: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}
