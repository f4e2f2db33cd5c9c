/// Slots in the order of their times; of equal times, the one that came first.
struct TimeHeap {
    struct Item {
        var time: UInt64
        var order: UInt64
        var slot: Int

        func isBefore(_ other: Item) -> Bool { (time, order) < (other.time, other.order) }
    }

    private var items: [Item] = []
    private var order: UInt64 = 0

    var count: Int { items.count }
    var first: Item? { items.first }

    mutating func insert(_ time: UInt64, _ slot: Int) {
        order += 1
        let item = Item(time: time, order: order, slot: slot)
        var place = items.count
        items.append(item)
        while place > 0, item.isBefore(items[(place - 1) / 2]) {
            items[place] = items[(place - 1) / 2]
            place = (place - 1) / 2
        }
        items[place] = item
    }

    mutating func takeFirst() -> Item? {
        guard let first = items.first, let last = items.popLast() else { return nil }
        guard !items.isEmpty else { return first }
        var place = 0
        while true {
            var child = 2 * place + 1
            guard child < items.count else { break }
            if child + 1 < items.count, items[child + 1].isBefore(items[child]) { child += 1 }
            guard items[child].isBefore(last) else { break }
            items[place] = items[child]
            place = child
        }
        items[place] = last
        return first
    }
}
