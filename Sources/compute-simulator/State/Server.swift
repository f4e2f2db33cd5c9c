/// One server of the simulated cloud.
///
/// - Shape: `vmState` and `taskState` are Nova's own words; the status a client sees follows from the two.
final class Server {
    let id: String
    let project: String
    let user: String
    let created: Moment
    let number: Int
    var name: String
    var vmState = "building"
    var taskState: String?
    var powerState = 0
    var updated: Moment
    var launched: Moment?
    var terminated: Moment?
    var flavor: String
    var previousFlavor: String?
    var image: String?
    var metadata: [(String, String)] = []
    var tags: [String] = []
    var keyName: String?
    var isLocked = false
    var lockedReason: String?
    var description: String?
    var hostname: String
    var accessIPv4 = ""
    var accessIPv6 = ""
    var diskConfig = "MANUAL"
    var configDrive = ""
    var zone = "nova"
    var host: String?
    var securityGroups = ["default"]
    var interfaces: [Interface] = []
    var volumes: [VolumeAttachment] = []
    var actions: [InstanceAction] = []
    var userData: String?
    var reservation: String
    var isDeleted = false
    var pending: Pending?

    init(
        id: String, project: String, user: String, created: Moment, number: Int, name: String, flavor: String,
        image: String?
    ) {
        self.id = id
        self.project = project
        self.user = user
        self.created = created
        self.number = number
        self.name = name
        self.flavor = flavor
        self.image = image
        updated = created
        hostname = name.lowercased()
        reservation = "r-" + String(id.prefix(8))
    }

    /// What happens to the server when the work that was started on it is done.
    struct Pending {
        var due: Moment
        var vmState: String
        var powerState: Int
        var effect: Effect = .none
    }

    enum Effect { case none, launch, removal, softRemoval, takeFlavor, dropOldFlavor, restoreOldFlavor }

    /// The status of the API for the server's states (Nova `api/openstack/common.py`, `_STATE_MAP`).
    var status: String {
        switch (vmState, taskState) {
        case ("active", "rebooting"), ("stopped", "rebooting"): "REBOOT"
        case ("active", "rebooting_hard"), ("stopped", "rebooting_hard"), ("paused", "rebooting_hard"),
            ("suspended", "rebooting_hard"), ("error", "rebooting_hard"):
            "HARD_REBOOT"
        case ("active", "updating_password"): "PASSWORD"
        case ("active", "rebuilding"), ("stopped", "rebuilding"), ("error", "rebuilding"): "REBUILD"
        case ("active", "migrating"), ("paused", "migrating"): "MIGRATING"
        case ("active", "resize_prep"), ("stopped", "resize_prep"): "RESIZE"
        case ("resized", "resize_reverting"): "REVERT_RESIZE"
        case ("building", _): "BUILD"
        case ("active", _): "ACTIVE"
        case ("stopped", _): "SHUTOFF"
        case ("resized", _): "VERIFY_RESIZE"
        case ("paused", _): "PAUSED"
        case ("suspended", _): "SUSPENDED"
        case ("rescued", _): "RESCUE"
        case ("error", _): "ERROR"
        case ("deleted", _): "DELETED"
        case ("soft-delete", _): "SOFT_DELETED"
        case ("shelved", _): "SHELVED"
        case ("shelved_offloaded", _): "SHELVED_OFFLOADED"
        default: "UNKNOWN"
        }
    }

    /// The statuses that some server can have, upper case.
    static let statuses: Set<String> = [
        "ACTIVE", "BUILD", "DELETED", "ERROR", "HARD_REBOOT", "MIGRATING", "PASSWORD", "PAUSED", "REBOOT",
        "REBUILD",
        "RESCUE", "RESIZE", "REVERT_RESIZE", "SHELVED", "SHELVED_OFFLOADED", "SHUTOFF", "SOFT_DELETED",
        "SUSPENDED",
        "UNKNOWN", "VERIFY_RESIZE",
    ]
}

/// A port of a server on a network.
struct Interface {
    var port: String
    var network: String
    var networkLabel: String
    var subnet: String
    var mac: String
    var addresses: [(version: Int, address: String)]
    var tag: String?
}

/// A volume attached to a server.
struct VolumeAttachment {
    var volume: String
    var device: String
    var attachment: String
    var mapping: String
    var tag: String?
    var endsWithServer = false
}

/// One row of a server's action log.
struct InstanceAction {
    var action: String
    var request: String
    var user: String
    var project: String
    var start: Moment
    var finish: Moment?
}
