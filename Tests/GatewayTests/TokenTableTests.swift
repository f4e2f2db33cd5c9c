import Bytes
import OpenStack
import Testing

@testable import Gateway

struct TokenTableTests {
    private func token(_ text: String, user: String = "u", expiresAt: Int64? = nil) -> Settings.StaticToken {
        Settings.StaticToken(
            token: text, user: .init(id: user, name: user), project: .init(id: "p", name: "p"),
            roles: ["member"],
            expiresAt: expiresAt)
    }

    private func find(_ table: TokenTable, _ text: String, at seconds: Int64 = 0) -> String? {
        withBytes(text) { table.find($0, wallSeconds: seconds) }
            .map { String(decoding: $0.userID, as: UTF8.self) }
    }

    @Test func `a known token gives its own identity and no other text does`() {
        let table = TokenTable([token("one", user: "u1"), token("two", user: "u2")], adminRoles: ["admin"])
        #expect(find(table, "one") == "u1")
        #expect(find(table, "two") == "u2")
        for text in ["", "on", "one ", "ONE", "onetwo", "three"] { #expect(find(table, text) == nil) }
    }

    @Test func `a token ends at its second`() {
        let table = TokenTable([token("t", expiresAt: 1_000)], adminRoles: [])
        #expect(find(table, "t", at: 999) == "u")
        #expect(find(table, "t", at: 1_000) == nil)
        #expect(find(table, "t", at: 1_001) == nil)
    }

    @Test func `an empty table knows nobody`() {
        #expect(find(TokenTable([], adminRoles: []), "t") == nil)
    }

    @Test(arguments: [1, 3, 4, 5, 8, 9, 100, 1_000])
    func `all tokens of a table are found whatever their number`(_ count: Int) {
        let table = TokenTable((0..<count).map { token("token \($0)", user: "u\($0)") }, adminRoles: [])
        for number in 0..<count { #expect(find(table, "token \(number)") == "u\(number)") }
        #expect(find(table, "token \(count)") == nil)
    }

    @Test func `administrators are those with a role of the settings`() {
        var one = token("one")
        one.roles = ["Operator"]
        let table = TokenTable([one, token("two")], adminRoles: ["operator"])
        withBytes("one") { #expect(table.find($0, wallSeconds: 0)?.isAdmin == true) }
        withBytes("two") { #expect(table.find($0, wallSeconds: 0)?.isAdmin == false) }
    }
}
