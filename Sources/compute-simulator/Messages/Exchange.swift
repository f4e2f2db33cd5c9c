/// One request as the domain sees it: no sockets, no framing.
struct Request {
    var method: String
    /// The request target as it came, percent coding untouched.
    var target: String
    /// Field lines in the order they came, names in their own spelling.
    var fields: [(name: String, value: String)]
    var content: [UInt8] = []

    init(
        _ method: String, _ target: String, _ fields: [(name: String, value: String)] = [],
        content: [UInt8] = []
    ) {
        self.method = method
        self.target = target
        self.fields = fields
        self.content = content
    }

    /// The target's path, without the query and without the authority of an absolute form.
    var path: Substring {
        let whole = target.prefix { $0 != "?" && $0 != "#" }
        guard !whole.hasPrefix("/"), let scheme = whole.firstRange(of: "://") else { return whole }
        let rest = whole[scheme.upperBound...]
        return rest.firstIndex(of: "/").map { rest[$0...] } ?? "/"
    }

    var query: Substring {
        guard let mark = target.firstIndex(of: "?") else { return "" }
        return target[target.index(after: mark)...].prefix { $0 != "#" }
    }

    /// The values of every line named `name`, ASCII case aside, and `_` for `-` as WSGI servers read names.
    func values(_ name: String) -> [String] {
        let wanted = name.lowercased()
        return fields.filter { $0.name.lowercased().replacing("_", with: "-") == wanted }.map(\.value)
    }

    func value(_ name: String) -> String? { values(name).first }
}

/// One answer as the domain gives it: no framing, no connection.
struct Response {
    var status: Int
    var fields: [(name: String, value: String)] = []
    var content: [UInt8] = []

    init(_ status: Int, _ fields: [(name: String, value: String)] = [], content: [UInt8] = []) {
        self.status = status
        self.fields = fields
        self.content = content
    }

    static func json(_ status: Int = 200, _ body: (inout JSONWriter) -> Void) -> Response {
        Response(status, content: JSONWriter.object(body))
    }

    func value(_ name: String) -> String? {
        fields.first { $0.name.lowercased() == name.lowercased() }?.value
    }

    var text: String { String(decoding: content, as: UTF8.self) }
}
