/// R's compact vectors (ALTREP), written out. Source: R's `altclasses.c`.
extension RValue {
    /// The vector whose state this is; nil when its class is not known.
    func expanded(_ name: String, meta: RMeta, limits: RLimits, at start: Int) throws(RSerializationError) -> RValue? {
        switch name {
        case "compact_intseq", "compact_realseq":
            guard case .double(let state) = self, state.elements.count == 3, let count = state.elements[0].exactInteger, count >= 0 else {
                throw RSerializationError(.malformed, "a compact sequence must have three numbers", at: start)
            }
            guard count <= limits.expandedElements else {
                throw RSerializationError(
                    .tooLarge, "a compact sequence of \(count) elements, \(limits.expandedElements) are expanded at most", at: start)
            }
            let (first, step) = (state.elements[1], state.elements[2])
            guard name == "compact_intseq" else {
                return .double(RVector((0..<count).map { first + step * Double($0) }, meta: meta))
            }
            guard first.exactInt32 != nil, step.exactInt32 != nil, (first + step * Double(max(count - 1, 0))).exactInt32 != nil else {
                throw RSerializationError(.malformed, "a compact sequence of integers leaves their range", at: start)
            }
            return .integer(RVector((0..<count).map { Int32(first + step * Double($0)) }, meta: meta))
        case "wrap_integer", "wrap_logical", "wrap_real", "wrap_complex", "wrap_raw", "wrap_string", "wrap_list":
            guard let wrapped = firstOfState, let value = wrapped.replacing(meta: meta) else {
                throw RSerializationError(.malformed, "a wrapped vector must be one of two", at: start)
            }
            return value
        case "deferred_string":
            switch firstOfState {
            case .integer(let numbers)?:
                let strings = numbers.elements.map { $0 == RNumbers.naInteger ? RString.na : .text(String($0)) }
                return .string(RVector(strings, meta: meta))
            case .double(let numbers)?:
                let strings = numbers.elements.map { RNumbers.isNA($0) ? RString.na : .text(RNumbers.text($0)) }
                return .string(RVector(strings, meta: meta))
            default: throw RSerializationError(.malformed, "deferred strings without their numbers", at: start)
            }
        default: return nil
        }
    }

    /// A state of two parts is a pair or a list.
    private var firstOfState: RValue? {
        switch self {
        case .cells(let chain): chain.cells.first?.value
        case .list(let list): list.elements.first
        default: nil
        }
    }

    /// This vector with other attributes; nil for what is no vector.
    func replacing(meta: RMeta) -> RValue? {
        switch self {
        case .logical(let vector): .logical(RVector(vector.elements, meta: meta))
        case .integer(let vector): .integer(RVector(vector.elements, meta: meta))
        case .double(let vector): .double(RVector(vector.elements, meta: meta))
        case .complex(let vector): .complex(RVector(vector.elements, meta: meta))
        case .string(let vector): .string(RVector(vector.elements, meta: meta))
        case .raw(let vector): .raw(RVector(vector.elements, meta: meta))
        case .list(let vector): .list(RVector(vector.elements, meta: meta))
        case .expression(let vector): .expression(RVector(vector.elements, meta: meta))
        default: nil
        }
    }
}
