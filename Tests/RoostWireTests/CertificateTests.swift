import Glibc
import RoostModel
import RoostWire
import Testing

/// The pool is its own authority: made once, kept privately, renewed in time, and mistaken for no other.
@Suite struct CertificateTests {
    private let directory = TemporaryDirectory()
    private let now = WallTime(unixSeconds: 1_800_000_000)
    private static let day: Duration = .seconds(86_400)

    private func open(at moment: WallTime) throws -> CertificateAuthority {
        try CertificateAuthority.open(directory: directory.path, at: moment)
    }

    @Test func itIsMadeOnceAndFoundAgain() throws {
        let made = try open(at: now)
        let found = try open(at: now + Self.day)
        #expect(made.pool == found.pool)
        #expect(made.fingerprint == found.fingerprint)
        #expect(try made.chain() == found.chain())
        for file in ["ca.pem", "server.pem", "pool-id"] { #expect(directory.permissions(file) == 0o600) }
    }

    @Test func theLeafIsRenewedUnderTheSameAuthority() throws {
        let made = try open(at: now)
        #expect(try open(at: now + Self.day * 59).leafExpires == made.leafExpires)
        var later = try open(at: now + Self.day * 61)
        #expect(later.leafExpires > made.leafExpires)
        #expect(later.fingerprint == made.fingerprint)
        #expect(
            try ServerIdentity.refusal(of: later.chain(), authority: made.fingerprint, at: now + Self.day * 61) == nil)
        // A running server renews too.
        #expect(try later.renewIfNeeded(at: now + Self.day * 62) == false)
        #expect(try later.renewIfNeeded(at: now + Self.day * 125) == true)
    }

    @Test func aServerOfAnotherPoolIsRecognised() throws {
        let ours = try open(at: now)
        let elsewhere = TemporaryDirectory()
        let theirs = try CertificateAuthority.open(directory: elsewhere.path, at: now)
        let error = try ServerIdentity.refusal(of: theirs.chain(), authority: ours.fingerprint, at: now)
        #expect(error?.message.contains("another pool") == true)
        #expect(error?.message.contains(ours.fingerprint.description) == true)
        #expect(error?.message.contains(theirs.fingerprint.description) == true)
        // The right authority shown beside a foreign leaf proves nothing.
        let mixed = try ServerIdentity.refusal(
            of: [theirs.chain()[0], ours.chain()[1]], authority: ours.fingerprint, at: now)
        #expect(mixed?.message.contains("not signed") == true)
        // The authority alone is no server.
        #expect(try ServerIdentity.refusal(of: [ours.chain()[1]], authority: ours.fingerprint, at: now) != nil)
        #expect(
            try ServerIdentity.refusal(of: [[1, 2], ours.chain()[1]], authority: ours.fingerprint, at: now) != nil)
    }

    @Test func aWrongClockIsNamed() throws {
        let ours = try open(at: now)
        let late = try ServerIdentity.refusal(of: ours.chain(), authority: ours.fingerprint, at: now + Self.day * 91)
        #expect(late?.message.contains("clock says") == true)
        let early = try ServerIdentity.refusal(of: ours.chain(), authority: ours.fingerprint, at: now - Self.day * 2)
        #expect(early?.remedy.contains("clock") == true)
    }

    @Test func aLeafOfAnotherAuthorityIsNotServed() throws {
        _ = try open(at: now)
        let elsewhere = TemporaryDirectory()
        _ = try CertificateAuthority.open(directory: elsewhere.path, at: now)
        let foreign = try #require(try PrivateFiles.read("\(elsewhere.path)/server.pem"))
        try PrivateFiles.write(foreign, to: "\(directory.path)/server.pem")
        let error = #expect(throws: RoostError.self) { try open(at: now) }
        #expect(error?.message.contains("does not belong") == true)
    }

    @Test func keysThatOthersCanReadAreNotUsed() throws {
        _ = try open(at: now)
        chmod("\(directory.path)/ca.pem", 0o640)
        let error = #expect(throws: RoostError.self) { try open(at: now) }
        #expect(error?.remedy.contains("chmod 600") == true)
    }
}
