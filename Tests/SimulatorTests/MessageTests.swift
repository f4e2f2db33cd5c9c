import Testing

@testable import compute_simulator

struct MessageTests {
    @Test(arguments: [
        "{\"a\": 1, \"b\": [true, null, -1.5e+3], \"a2\": {\"x\": \"\\u00e9\\n\\\"\"}}", "[]", "{}", "\"x\"",
        "0",
        "\"\\ud83d\\ude00\"",
    ])
    func `JSON is written as it was read`(text: String) throws {
        let value = try #require(JSONParser.read(Array(text.utf8)))
        #expect(String(decoding: JSONWriter.value(value), as: UTF8.self) == text)
    }

    @Test(arguments: [
        "", "{", "{\"a\"}", "[1,]", "01", "1.", "nul", "\"\\x\"", "\"\n\"", "{} {}", "[1 2]", "{\"a\": NaN}",
        "-", "1e",
    ])
    func `text that is not JSON is not read`(text: String) {
        #expect(JSONParser.read(Array(text.utf8)) == nil)
    }

    @Test func `JSON deeper than 64 levels is not read`() {
        #expect(
            JSONParser.read(
                Array((String(repeating: "[", count: 70) + String(repeating: "]", count: 70)).utf8)) == nil)
        #expect(JSONParser.read([0x22, 0xFF, 0x22]) == nil)
    }

    @Test(
        arguments: [
            ("2025-06-01T00:00:00Z", 1_748_736_000), ("2025-06-01", 1_748_736_000),
            ("2025-06", 1_748_736_000),
            ("2025", 1_735_689_600), ("20250601T000000Z", 1_748_736_000), ("2025-06-01 01:00", 1_748_739_600),
            ("2025-06-01T02:00:00+02:00", 1_748_736_000), ("2025-06-01T00:00:00.5Z", 1_748_736_000),
            ("2024-02-29T00:00:00Z", 1_709_164_800), ("1969-12-31T23:59:59Z", -1),
        ] as [(String, Int64)])
    func `dates are read in the forms that Nova takes`(text: String, seconds: Int64) {
        #expect(Moment(reading: text)?.seconds == seconds)
    }

    @Test(arguments: [
        "1748736000", "2025-W23", "2025-02-30", "2025-13", "0000-01-01", "2025-06-01T24:00:00Z",
        "2025-06-01T00:00:60Z", "2025-06-01t00:00:00z", "2025-06-01T00:00:00 00:00",
        "2025-06-01T00:00:00+24:00", "",
    ])
    func `other dates are not read`(text: String) {
        #expect(Moment(reading: text) == nil)
    }

    @Test func `a moment is written in the three forms of the APIs`() {
        let moment = Moment(microseconds: 1_709_164_800_000_042)
        #expect(moment.text == "2024-02-29T00:00:00Z")
        #expect(moment.fractionText == "2024-02-29T00:00:00.000042")
        #expect(moment.tokenText == "2024-02-29T00:00:00.000042Z")
    }

    @Test func `seeded ids stay the same and have the form of a UUID`() {
        #expect(Ids.fixed("a") == Ids.fixed("a"))
        #expect(Ids.fixed("a") != Ids.fixed("b"))
        #expect(Text.isUUID(Ids.fixed("a")))
        var ids = Ids()
        #expect(Text.isUUID(ids.uuid()))
        #expect(Seed.isProjectID(Seed.compactID("x")))
    }
}
