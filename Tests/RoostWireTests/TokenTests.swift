import Glibc
import RoostModel
import RoostWire
import Testing

/// One string is all that a node or client needs, and nobody gets in without a good one.
@Suite struct TokenTests {
    private static let authority = CertificateFingerprint(bytes: (0..<32).map { UInt8($0 * 7) })
    private static let now = WallTime(unixSeconds: 1_800_000_000)
    private let directory = TemporaryDirectory()

    private func makeStore() throws -> TokenStore { try TokenStore(directory: directory.path) }

    private func makeToken(
        _ store: TokenStore, role: Role = .client, user: String = "anna", lifetime: Duration? = nil
    ) throws -> PoolToken {
        try store.create(role: role, user: user, lifetime: lifetime, authority: Self.authority, at: Self.now)
    }

    @Test func aTokenSurvivesCopyingAndPasting() throws {
        let token = try makeToken(makeStore())
        #expect(try PoolToken(parsing: token.text) == token)
        #expect(try PoolToken(parsing: "  \(token.text)\n") == token)
        #expect(try PoolToken(parsing: token.text.uppercased()) == token)
        // A terminal broke the line.
        let middle = token.text.index(token.text.startIndex, offsetBy: 70)
        #expect(try PoolToken(parsing: token.text[..<middle] + "\n" + token.text[middle...]) == token)
        #expect(token.text.utf8.allSatisfy { "abcdefghijklmnopqrstuvwxyz0123456789_".utf8.contains($0) })
    }

    @Test func everyMistypedCharacterIsNoticedBeforeAnythingIsSent() throws {
        let token = try makeToken(makeStore())
        let text = Array(token.text.utf8)
        for position in 6..<text.count {
            var wrong = text
            wrong[position] = text[position] == UInt8(ascii: "7") ? UInt8(ascii: "8") : UInt8(ascii: "7")
            let error = #expect(throws: RoostError.self) {
                try PoolToken(parsing: String(decoding: wrong, as: UTF8.self))
            }
            #expect(error?.code == .usage)
        }
        for length in 0..<text.count {
            #expect(throws: RoostError.self) {
                try PoolToken(parsing: String(decoding: text.prefix(length), as: UTF8.self))
            }
        }
    }

    @Test func printingATokenDoesNotShowItsSecret() throws {
        let token = try makeToken(makeStore())
        let secret = String(token.text.dropFirst(20).prefix(20))
        var dumped = ""
        dump(token, to: &dumped)
        for text in ["\(token)", String(reflecting: token), String(describing: token.credential), dumped] {
            #expect(!text.contains(secret))
            #expect(text.contains(token.credential.id.description))
        }
        // The store holds a hash, not the secret.
        #expect(!directory.text("tokens").contains(secret))
        #expect(directory.permissions("tokens") == 0o600)
    }

    @Test func aGoodTokenSaysWhoItIs() throws {
        let store = try makeStore()
        let token = try makeToken(store, role: .admin, user: "berta")
        #expect(
            try store.principal(for: token.credential, at: Self.now) == Principal(role: .admin, user: "berta"))
        // After a restart too.
        #expect(try makeStore().principal(for: token.credential, at: Self.now).user == "berta")
    }

    @Test func wrongExpiredAndRevokedTokensAreRefusedInWords() throws {
        let store = try makeStore()
        let other = TemporaryDirectory()
        let stranger = try makeToken(TokenStore(directory: other.path))
        let unknown = #expect(throws: RoostError.self) { try store.principal(for: stranger.credential, at: Self.now) }
        #expect(unknown?.message.contains("does not know") == true)

        let brief = try makeToken(store, lifetime: .seconds(60))
        #expect(throws: Never.self) { try store.principal(for: brief.credential, at: Self.now + .seconds(59)) }
        let expired = #expect(throws: RoostError.self) {
            try store.principal(for: brief.credential, at: Self.now + .seconds(60))
        }
        #expect(expired?.message.contains("expired on 2027-01-15 08:01 UTC") == true)
        #expect(expired?.code == .refused)

        let bad = try makeToken(store, user: "mallory")
        #expect(try store.revoke(bad.credential.id.description, at: Self.now) == 1)
        let revoked = #expect(throws: RoostError.self) { try store.principal(for: bad.credential, at: Self.now) }
        #expect(revoked?.message.contains("was revoked on") == true)
        #expect(try !store.isGood(bad.credential.id, at: Self.now))
        #expect(throws: RoostError.self) { try store.revoke("nobody", at: Self.now) }
    }

    @Test func theRightIDWithAnotherSecretIsRefused() throws {
        let store = try makeStore()
        let token = try makeToken(store)
        let forged = try #require(
            TokenCredential(id: token.credential.id.bytes, secret: [UInt8](repeating: 1, count: 32)))
        #expect(throws: RoostError.self) { try store.principal(for: forged, at: Self.now) }
    }

    @Test func aRunningServerSeesTokensMadeBesideIt() throws {
        let server = try makeStore()
        #expect(try server.list().isEmpty)
        let beside = try makeStore()
        let token = try makeToken(beside)
        #expect(try server.principal(for: token.credential, at: Self.now).user == "anna")
        try beside.revoke("anna", at: Self.now)
        #expect(throws: RoostError.self) { try server.principal(for: token.credential, at: Self.now) }
        #expect(try server.list().map(\.snapshot.isRevoked) == [true])
    }

    @Test func revokingAUserRevokesAllOfTheUsersTokens() throws {
        let store = try makeStore()
        _ = try (makeToken(store), makeToken(store), makeToken(store, user: "berta"))
        #expect(try store.revoke("anna", at: Self.now) == 2)
        #expect(try store.revoke("anna", at: Self.now) == 0)
        #expect(try store.list().count(where: { $0.revoked == nil }) == 1)
    }

    @Test(arguments: ["", "two words", "tab\t", String(repeating: "u", count: 65)])
    func namesThatCannotBeUsersAreRefused(name: String) throws {
        let store = try makeStore()
        #expect(throws: RoostError.self) { try makeToken(store, user: name) }
    }

    @Test func filesThatOthersCanReadAreRefused() throws {
        _ = try makeToken(makeStore())
        chmod("\(directory.path)/tokens", 0o644)
        let file = #expect(throws: RoostError.self) { try makeStore() }
        #expect(file?.remedy.contains("chmod 600") == true)
        chmod("\(directory.path)/tokens", 0o600)
        chmod(directory.path, 0o755)
        let folder = #expect(throws: RoostError.self) { try makeStore() }
        #expect(folder?.remedy.contains("chmod 700") == true)
    }

    @Test func aDamagedFileIsSaidToBeDamaged() throws {
        _ = try makeToken(makeStore())
        try PrivateFiles.write(Array("roost-tokens 1\nnonsense\n".utf8), to: "\(directory.path)/tokens")
        let error = #expect(throws: RoostError.self) { try makeStore() }
        #expect(error?.message.contains("line 2") == true)
    }

    @Test(
        arguments: [
            (0, "1970-01-01 00:00 UTC"), (951_782_400, "2000-02-29 00:00 UTC"), (1_709_251_199, "2024-02-29 23:59 UTC"),
            (-1, "1969-12-31 23:59 UTC"), (4_102_444_800, "2100-01-01 00:00 UTC"),
        ] as [(Int64, String)])
    func datesAreRight(seconds: Int64, text: String) {
        #expect(WallTime(unixSeconds: seconds).description == text)
    }
}
