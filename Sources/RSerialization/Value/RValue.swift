/// An R object as a tree of Swift values.
///
/// What R shares by identity (environments, external pointers, weak references, namespaces) is not in the tree: the tree has a
/// ``RReference`` to it, and the ``RObject`` around the tree has the thing itself. So objects with cycles are plain values too.
///
///     list(e, e)       RObject   value    .list([.shared(0), .shared(0)])
///                                shared   [.environment(…)]
public enum RValue: Sendable {
    case null
    /// R's logical: 0, 1 (or any other number) or ``RNumbers/naInteger``.
    case logical(RVector<Int32>)
    case integer(RVector<Int32>)
    /// Every bit is kept, those of NA and of other NaNs too.
    case double(RVector<Double>)
    case complex(RVector<RComplex>)
    case string(RVector<RString>)
    case raw(RVector<UInt8>)
    case list(RVector<RValue>)
    case expression(RVector<RValue>)

    case symbol(RString)
    /// A pairlist, a call or `...`, as the kind of its first cell says.
    indirect case cells(RCells)
    indirect case closure(RClosure)
    indirect case promise(RClosure)
    indirect case byteCode(RByteCode)
    /// A function that is built into R, by its name; `isSpecial` when its arguments are not evaluated first.
    case builtin(name: [UInt8], isSpecial: Bool)
    /// An S4 object; its slots are attributes.
    case s4(RMeta)
    /// A string that stands alone, which only R's inner workings do.
    case char(RString)
    /// Something with an identity.
    case shared(RReference)

    case globalEnvironment, baseEnvironment, emptyEnvironment, baseNamespace
    case unboundValue, missingArgument
}

/// The number of something shared in ``RObject/shared``.
public struct RReference: Sendable, Hashable {
    public var index: Int
    public init(index: Int) { self.index = index }
}

/// A vector: its elements, and what R keeps beside them.
public struct RVector<Element: Sendable>: Sendable {
    public var elements: [Element]
    public var meta: RMeta

    public init(_ elements: [Element], meta: RMeta = RMeta()) {
        self.elements = elements
        self.meta = meta
    }
}

/// What R keeps beside an object's content.
public struct RMeta: Sendable {
    /// In R's order.
    public var attributes: [RAttribute]
    /// Whether R looks for a class at all.
    public var isObject: Bool
    /// R's `gp` bits: whether an object is S4, among others.
    public var levels: UInt16

    public init(_ attributes: [RAttribute] = [], isObject: Bool? = nil, levels: UInt16 = 0) {
        self.attributes = attributes
        self.isObject = isObject ?? attributes.contains { $0.name == "class" }
        self.levels = levels
    }

    /// The value of an attribute; nil when there is none of that name.
    public subscript(name: String) -> RValue? { attributes.first { $0.name == RString.text(name) }?.value }
}

public struct RAttribute: Sendable {
    public var name: RString
    public var value: RValue

    public init(_ name: RString, _ value: RValue) {
        self.name = name
        self.value = value
    }
}

/// A complex number.
public struct RComplex: Sendable, BitwiseCopyable {
    public var real: Double
    public var imaginary: Double

    public init(real: Double, imaginary: Double) {
        self.real = real
        self.imaginary = imaginary
    }
}

/// The cells of a pairlist, a call or `...`.
public struct RCells: Sendable {
    public enum Kind: UInt8, Sendable { case pairlist = 2, language = 6, dots = 17 }

    public struct Cell: Sendable {
        public var kind: Kind
        /// The name of the element or argument, a symbol; nil when there is none.
        public var tag: RValue?
        public var value: RValue
        public var meta: RMeta

        public init(_ value: RValue, tag: RValue? = nil, kind: Kind = .pairlist, meta: RMeta = RMeta()) {
            self.kind = kind
            self.tag = tag
            self.value = value
            self.meta = meta
        }
    }

    public var cells: [Cell]
    /// What stands behind the last cell: `NULL`, in all that R code can make.
    public var tail: RValue

    public init(_ cells: [Cell], tail: RValue = .null) {
        self.cells = cells
        self.tail = tail
    }
}

/// A closure: environment, formal arguments, body. Also a promise: environment if it waits to be evaluated, value, expression.
public struct RClosure: Sendable {
    public var environment: RValue?
    public var formals: RValue
    public var body: RValue
    public var meta: RMeta

    public init(environment: RValue?, formals: RValue, body: RValue, meta: RMeta = RMeta()) {
        self.environment = environment
        self.formals = formals
        self.body = body
        self.meta = meta
    }
}

/// What references of an ``RValue`` point to.
public enum RShared: Sendable {
    case environment(REnvironment)
    case externalPointer(protected: RValue, tag: RValue, meta: RMeta)
    case weakReference(meta: RMeta)
    /// Name and version.
    case namespace([RString])
    case package([RString])
    /// A name that a hook in R turns into an object.
    case persistentName([RString])
}

/// An environment as R stores it: a frame of cells, or a hash table of such.
public struct REnvironment: Sendable {
    public var isLocked: Bool
    public var enclosing: RValue
    public var frame: RValue
    public var hashTable: RValue
    /// A pairlist, or `NULL`.
    public var attributes: RValue

    public init(
        isLocked: Bool = false, enclosing: RValue = .emptyEnvironment, frame: RValue = .null, hashTable: RValue = .null,
        attributes: RValue = .null
    ) {
        self.isLocked = isLocked
        self.enclosing = enclosing
        self.frame = frame
        self.hashTable = hashTable
        self.attributes = attributes
    }

    /// The variables, in the order of storage.
    public var variables: [(name: RString, value: RValue)] {
        var chains = [frame]
        if case .list(let table) = hashTable { chains += table.elements }
        var variables: [(RString, RValue)] = []
        for case .cells(let chain) in chains {
            for cell in chain.cells { if case .symbol(let name)? = cell.tag { variables.append((name, cell.value)) } }
        }
        return variables
    }
}

/// A whole R object: a tree, and what it shares.
public struct RObject: Sendable {
    public var value: RValue
    public var shared: [RShared]

    public init(_ value: RValue, shared: [RShared] = []) {
        self.value = value
        self.shared = shared
    }
}
