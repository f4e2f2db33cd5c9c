/// Which of a channel's messages the broker has confirmed.
///
/// - Shape: messages are numbered from 1 in the order of publishing, confirms come in any order.
/// - Source: RabbitMQ, «Publisher confirms».
struct RabbitConfirms {
    /// The number of the last message that was published.
    private(set) var published: UInt64 = 0
    /// Every message up to this one is confirmed.
    private(set) var confirmed: UInt64 = 0
    /// The ones beyond.
    private var others: Set<UInt64> = []

    var isComplete: Bool { confirmed == published }

    mutating func publish() { published += 1 }

    /// Takes a confirm of the message `number`, with `isMultiple` of all up to it; of all there are when that is 0.
    ///
    /// - Errors: false for a message that was never published.
    mutating func confirm(_ number: UInt64, isMultiple: Bool) -> Bool {
        guard number <= published, number > 0 || isMultiple else { return false }
        if isMultiple {
            confirmed = max(confirmed, number == 0 ? published : number)
            others = others.filter { $0 > confirmed }
        } else if number > confirmed {
            others.insert(number)
        }
        while others.remove(confirmed + 1) != nil { confirmed += 1 }
        return true
    }
}
