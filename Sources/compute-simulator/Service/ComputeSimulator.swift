@main
struct ComputeSimulator {
    static func main() {}
}
