import Bytes
import HTTP
import Testing

@testable import OpenStack

@Suite struct `A generated definition` {
    @Test func `has its roots in its paths`() throws {
        let text = generatedDocument(
            "    get: {operationId: 'things:get'}\n  /v2/others:\n    get: {operationId: 'others:get'}")
        let definition = try readDefinition(text)
        #expect(definition.roots.map(\.path) == ["/v2.1", "/v2"])
        #expect(definition.roots.map(\.version) == [.v21, .v2])
        #expect(definition.operations.map(\.path) == ["/things", "/others"])
        #expect(definition.maximum == version("2.90"))
        let table = try OperationTable.compile(definition, file: "things.yaml")
        #expect(route(table, "GET", "/v2.1/0a/things") == "things.get")
        #expect(route(table, "GET", "/v2/others") == "others.get")
    }

    @Test func `may name the project in its paths`() throws {
        let text = generatedDocument(
            """
                get: {operationId: 'things:get'}
              /v2.1/{project_id}/more/{id}:
                parameters: [{$ref: '#/components/parameters/id'}]
                get: {operationId: 'more/id:get', parameters: [{name: project_id, in: path, schema: {type: string}}]}
            """)
        // A parameter of the segment that is left out is left out with it.
        let definition = try readDefinition(text)
        #expect(definition.operations.map(\.path) == ["/things", "/more/{id}"])
        #expect(definition.operations[1].parameters.map(\.name) == ["id"])
    }

    @Test(arguments: [
        ("/v2.1/things", "things:get", "things.get"), ("/v2.1/", ":get", "root.get"),
        ("/v2.1/os-things/{id}/Shut-down", "x:y", "os_things.id.shut_down.get"),
        ("/v2.1/things", "things.list", "things.list"), ("/v2.1/things", "Things.list", "things.get"),
    ])
    func `gets ids from path and method`(path: String, stated: String, expected: String) throws {
        let text = """
            info: {title: T, version: '2.1'}
            paths:
              \(path):
                parameters: [\(path.contains("{id}") ? "{name: id, in: path}" : "")]
                get: {operationId: '\(stated)'}
            """
        #expect(try readDefinition(text).operations.map(\.id) == [expected])
    }

    @Test func `ids that come out alike are told apart`() throws {
        let text = generatedDocument(
            """
                get: {operationId: 'a:get'}
              /v2.1/os-a:
                get: {}
              /v2.1/os_a:
                get: {}
            """)
        #expect(try readDefinition(text).operations.map(\.id) == ["things.get", "os_a.get", "os_a.get_2"])
    }

    @Test(arguments: [
        ("get", "/v2.1/things", "list read/list"), ("get", "/v2.1/things/{id}", "read read"),
        ("post", "/v2.1/things", "create create"), ("post", "/v2.1/things/{id}/action", "action update"),
        ("put", "/v2.1/things/{id}", "update update"), ("delete", "/v2.1/things/{id}", "delete delete"),
        ("get", "/v2.1/", "read read"),
    ])
    func `gets classes and CADF actions from path and method`(method: String, path: String, expected: String)
        throws
    {
        let text = """
            info: {title: T, version: '2.1'}
            paths:
              \(path):
                parameters: [\(path.contains("{id}") ? "{name: id, in: path}" : "")]
                \(method): {}
            """
        let operation = try readDefinition(text).operations[0]
        #expect("\(operation.limitClass) \(operation.auditAction)" == expected)
        #expect(operation.isDiscovery == (path == "/v2.1/"))
    }

    @Test(
        arguments: [
            ("{min-ver: '2.26'}", "2.26", nil), ("{max-ver: '2.35'}", nil, "2.35"),
            ("{min-ver: '2.1'}", nil, nil),
            ("{min-ver: '2.0', max-ver: '2.42'}", nil, "2.42"),
            ("{min-ver: '2.53', max-ver: '2.32'}", "2.53", nil),
            ("{discriminator: microversion}", nil, nil),
        ] as [(String, String?, String?)])
    func `has its microversions in x-openstack`(range: String, minimum: String?, maximum: String?) throws {
        let text = generatedDocument(
            """
                get:
                  deprecated: true
                  x-openstack: \(range)
                  parameters: [{name: n, in: query, schema: {type: string}, x-openstack: \(range)}]
            """)
        let definition = try readDefinition(text)
        let operation = definition.operations[0]
        #expect(operation.isDeprecated)
        #expect(operation.minimum == minimum.map(version) && operation.maximum == maximum.map(version))
        let parameter = operation.parameters[0]
        #expect(parameter.minimum == minimum.map(version) && parameter.maximum == maximum.map(version))
        let isOdd = range.contains("2.32")
        #expect(definition.unused.count == (isOdd ? 2 : 0))
        #expect(definition.unused.lines.allSatisfy { $0.contains(" that is below its min-ver") })
    }

    @Test(arguments: [
        ("{type: string}", Rule.any, 0),
        ("{type: [integer, string], pattern: '^[0-9]*$', minimum: 0}", .digits, 0),
        ("{type: [integer, string], pattern: '^[0-9]*$', minLength: 1, minimum: 1}", .positive, 0),
        ("{type: string, format: date-time}", .dateTime, 0), ("{type: string, format: regex}", .regex, 0),
        ("{type: string, format: uuid}", .uuid, 0),
        ("{type: array, items: {type: string, format: regex}}", .regex, 0),
        ("{type: string, enum: [a, b]}", .choice, 0),
        ("{type: string, pattern: '^[a-zA-Z0-9-._]*$', minLength: 1, maxLength: 255}", .hostname, 0),
        ("{$ref: '#/components/schemas/Empty'}", .any, 1), ("{type: integer}", .any, 1),
        ("{type: string, pattern: '^x', maxLength: 5}", .any, 2), ("{type: string, format: ipv4}", .any, 1),
        ("{anyOf: [{type: string}], type: string}", .any, 1),
        (
            "{oneOf: [{type: string, format: regex, x-openstack: {max-ver: '2.5'}}, {type: string, format: regex}]}",
            .regex, 0
        ),
        ("{oneOf: [{type: string, format: regex}, {type: string}]}", .any, 1),
    ])
    func `has rules in the schemas of its parameters`(schema: String, rule: Rule, unused: Int) throws {
        let definition = try readDefinition(
            generatedDocument("    get: {parameters: [{name: n, in: query, schema: \(schema)}]}"))
        let parameter = definition.operations[0].parameters[0]
        #expect(parameter.rule == rule)
        #expect(parameter.isList == schema.contains("array"))
        #expect(definition.unused.count == unused, "\(definition.unused.lines)")
    }

    @Test func `a parameter's forms by microversion have one range`() throws {
        let forms = """
            {oneOf: [{type: string, format: uuid, x-openstack: {min-ver: '2.10', max-ver: '2.20'}},
              {type: string, format: uuid, x-openstack: {min-ver: '2.21', max-ver: '2.40'}}],
              x-openstack: {discriminator: microversion}}
            """
        let parameter = try readDefinition(
            generatedDocument("    get: {parameters: [{name: n, in: query, schema: \(forms)}]}")
        )
        .operations[0].parameters[0]
        #expect(parameter.rule == .uuid)
        #expect(parameter.minimum == version("2.10") && parameter.maximum == version("2.40"))
    }

    @Test func `a rule of an overlay stands for what the schema says`() throws {
        let text = generatedDocument(
            "    get: {parameters: [{name: n, in: query, schema: {type: string, maxLength: 5}}]}")
        let overlay = """
            overlay: 1.0.0
            info: {title: T, version: 1.0.0}
            actions:
              - target: $.paths.*.get.parameters[?@.name=='n']
                update: {x-gatehouse: {rule: marker, min: "2.5", max: none}}
            """
        let definition = try readDefinition(text, overlay: overlay)
        #expect(definition.operations[0].parameters[0].rule == .marker)
        #expect(definition.operations[0].parameters[0].minimum == version("2.5"))
        #expect(definition.unused.count == 0)
    }

    @Test func `names its actions in the schema of the content`() throws {
        let text = generatedDocument(
            """
                get: {operationId: 'things:get'}
              /v2.1/things/{id}/action:
                parameters: [{$ref: '#/components/parameters/id'}]
                post:
                  requestBody:
                    content:
                      application/json:
                        schema:
                          oneOf:
                            - {$ref: '#/components/schemas/Stop'}
                            - {$ref: '#/components/schemas/Rebuild'}
                            - {properties: {os-plain: {}}, type: object}
                            - {properties: {two: {}, keys: {}}, type: object}
                            - {$ref: '#/components/schemas/Stop'}
                          x-openstack: {discriminator: action}
            """,
            components: """
                    Stop: {type: object, properties: {stop: {}}, x-openstack: {action-name: os-stop, max-ver: '2.43'}}
                    Rebuild:
                      oneOf: [{$ref: '#/components/schemas/R1'}, {$ref: '#/components/schemas/R2'}]
                      x-openstack: {action-name: rebuild, discriminator: microversion}
                    R1: {type: object, x-openstack: {action-name: rebuild, min-ver: '2.8', max-ver: '2.18'}}
                    R2: {type: object, x-openstack: {action-name: rebuild, min-ver: '2.19'}}
                """)
        let definition = try readDefinition(text)
        let actions = definition.operations[1].actions
        #expect(actions.map(\.key) == ["os-stop", "rebuild", "os-plain"])
        #expect(actions.map(\.minimum) == [nil, version("2.8"), nil])
        #expect(actions.map(\.maximum) == [version("2.43"), nil, nil])
        #expect(
            definition.unused.kinds.map(\.message) == [
                "an action without a name", "a second action of a name",
                "a schema of content beyond the actions it names; Nova judges content",
            ])
    }

    @Test func `an overlay says more of its actions, and names further ones`() throws {
        let text = generatedDocument(
            """
                get: {operationId: 'things:get'}
              /v2.1/things/action:
                post:
                  requestBody: {content: {application/json: {schema: {type: object, properties: {stop: {}},
                    x-openstack: {action-name: stop, min-ver: '2.8', max-ver: '2.9'}}}}}
            """)
        let overlay = """
            overlay: 1.0.0
            info: {title: T, version: 1.0.0}
            actions:
              - target: $.paths['/v2.1/things/action'].post
                update: {x-gatehouse: {actions: {stop: {audit: stop, max: none}, start: {audit: start}}}}
            """
        let actions = try readDefinition(text, overlay: overlay).operations[1].actions
        #expect(actions.map(\.key) == ["stop", "start"] && actions.map(\.auditAction) == ["stop", "start"])
        #expect(actions.map(\.minimum) == [version("2.8"), nil] && actions.map(\.maximum) == [nil, nil])
    }

    @Test(arguments: [
        (
            "get: {responses: {default: {description: D}, 4XX: {description: D}, '200': {description: D}}}",
            2,
            "an answer for a class of statuses"
        ),
        ("get: {parameters: [{name: c, in: cookie, schema: {type: string}}]}", 1, "a cookie"),
        ("trace: {operationId: 'things:trace'}", 1, "trace of a path"),
        ("get: {}\n    servers: [{url: /}]", 1, "servers of a path"),
        ("get: {}\n  /v3/things:\n    get: {}", 1, "a path that is under none of the roots"),
        ("get: {}\n    x-more: 1", 0, ""),
    ])
    func `lists what it cannot use`(thing: String, count: Int, kind: String) throws {
        let unused = try readDefinition(generatedDocument("    " + thing)).unused
        #expect(unused.count == count)
        #expect(unused.kinds.first?.message ?? "" == kind)
    }

    @Test func `the list is bounded and counted`() throws {
        let rows = (0..<40).map { "{name: n\($0), in: query, schema: {type: integer}}" }
        let definition = try readDefinition(
            generatedDocument("    get: {parameters: [\(rows.joined(separator: ",\n      "))]}"))
        let lines = definition.unused.lines
        #expect(definition.unused.count == 40)
        #expect(lines.count == 6)
        #expect(lines[0] == "things.yaml:5:61: not used: type of a parameter's schema; Nova judges it")
        #expect(lines[5] == "and 35 more: not used: type of a parameter's schema; Nova judges it")
        var many = UnusedParts()
        for number in 0..<1_000 { many.add("kind \(number)", at: "") }
        #expect(many.kinds.count == UnusedParts.maxKindCount && many.count == 1_000)
        var sum = definition.unused
        sum.add(definition.unused)
        sum.add(many)
        #expect(sum.count == 1_080 && sum.kinds[0].count == 80 && sum.kinds[0].places.count == 5)
    }

    @Test func `what an overlay does not reach is listed with the overlay's place`() throws {
        let overlay = """
            overlay: 1.0.0
            info: {title: T, version: 1.0.0}
            actions:
              - {target: "$.paths['/v2.1/none'].get", update: {operationId: none.list}}
            """
        let unused = try readDefinition(generatedDocument("    get: {}"), overlay: overlay).unused
        #expect(unused.lines == ["overlay.yaml:4:14: not used: nothing has this target"])
    }
}
