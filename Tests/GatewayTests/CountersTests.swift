import Testing

@testable import Gateway

struct CountersTests {
    private func count(
        _ counters: inout ExchangeCounters, operation: Int = 0, status: Int = 200, microseconds: UInt64 = 1,
        source: ExchangeCounters.Source = .here
    ) {
        counters.count(
            operation: operation, status: status, microseconds: microseconds, source: source, verdict: .none,
            failure: .none)
    }

    private func value(_ counters: ExchangeCounters, _ operation: Int, _ status: Int) -> UInt64 {
        let statuses = ExchangeCounters.statuses
        return counters.byStatus[operation * statuses.count + statuses.firstIndex(of: status)!]
    }

    @Test(arguments: ExchangeCounters.statuses)
    func `each status of the list has its own column`(_ status: Int) {
        var counters = ExchangeCounters(operationCount: 3)
        count(&counters, operation: 1, status: status)
        #expect(value(counters, 1, status) == 1)
        #expect(counters.byStatus.reduce(0, +) == 1)
    }

    @Test(arguments: [-1, 0, 1, 99, 299, 418, 599, 600, 1_000, Int.max, Int.min])
    func `any other status is counted as other`(_ status: Int) {
        var counters = ExchangeCounters(operationCount: 1)
        count(&counters, status: status)
        #expect(value(counters, 0, 0) == 1)
    }

    @Test(arguments: [-1, 3, 4, Int.max])
    func `an operation that is none has the last row`(_ operation: Int) {
        var counters = ExchangeCounters(operationCount: 3)
        count(&counters, operation: operation)
        #expect(value(counters, 3, 200) == 1)
    }

    @Test func `a duration falls into the first bucket that holds it`() {
        let rows: [(microseconds: UInt64, bucket: Int)] = [
            (0, 0), (50, 0), (51, 1), (100, 1), (1_000, 4), (1_001, 5), (10_000_000, 15), (10_000_001, 16),
            (.max / 2, 16),
        ]
        for row in rows {
            var counters = ExchangeCounters(operationCount: 1)
            count(&counters, microseconds: row.microseconds, source: .upstream)
            let first = ExchangeCounters.Source.upstream.rawValue * (ExchangeCounters.bounds.count + 1)
            #expect(counters.histogram[first + row.bucket] == 1, "\(row.microseconds) µs")
            #expect(counters.histogram.reduce(0, +) == 1)
            #expect(counters.totalMicroseconds[ExchangeCounters.Source.upstream.rawValue] == row.microseconds)
        }
    }

    @Test func `two workers' counters add up`() {
        var one = ExchangeCounters(operationCount: 2)
        var two = ExchangeCounters(operationCount: 2)
        count(&one, operation: 0, status: 200, microseconds: 10)
        count(&two, operation: 0, status: 200, microseconds: 20)
        count(&two, operation: 1, status: 404, microseconds: 30, source: .store)
        one.add(two)
        #expect(value(one, 0, 200) == 2)
        #expect(value(one, 1, 404) == 1)
        #expect(one.totalMicroseconds[ExchangeCounters.Source.here.rawValue] == 30)
        #expect(one.histogram.reduce(0, +) == 3)
    }

    @Test func `counters of another shape are not mixed in`() {
        var one = ExchangeCounters(operationCount: 2)
        var two = ExchangeCounters(operationCount: 3)
        count(&two)
        one.add(two)
        #expect(one.byStatus.reduce(0, +) == 0)
    }

    @Test func `names of counters are of one form and told once`() {
        let named = Counters().named
        #expect(Set(named.map(\.name)).count == named.count)
        for counter in named {
            #expect(counter.name.wholeMatch(of: /gatehouse_[a-z0-9_]+_total/) != nil, "\(counter.name)")
            #expect(counter.help.hasSuffix("."))
        }
    }
}

struct FailureTests {
    @Test(arguments: Failure.allCases)
    func `each failure has a word and its answer is an error`(_ failure: Failure) {
        let word = "\(failure.error)"
        #expect(failure == .none ? word == "-" : word.wholeMatch(of: /[a-z_]+/) != nil)
        if let answer = failure.answer {
            #expect((400..<600).contains(answer.status))
            #expect("\(answer.message)".hasSuffix("."))
        }
    }

    @Test func `no two failures share a word and the counters have room for all`() {
        #expect(Set(Failure.allCases.map { "\($0.error)" }).count == Failure.allCases.count)
        let counters = ExchangeCounters(operationCount: 0)
        #expect(counters.failures.count >= Failure.allCases.count)
    }
}
