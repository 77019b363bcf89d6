import { expect, test } from 'vitest'
import { LockLedger } from '../../src/claim/lock-ledger.ts'
import { jobLockKey } from '../../src/sql/advisory-lock.ts'

const [A, B, C] = ['a', 'b', 'c']
const [FIRST, SECOND] = ['2026-01-31T12:00:00.000001Z', '2026-01-31T12:00:00.000002Z']
const keysOf = (...ids: string[]) => ids.map(jobLockKey)

const holding = (...ids: string[]): LockLedger => {
  const ledger = new LockLedger()
  ledger.hold(ids, FIRST)
  return ledger
}

test('the locks of a claim are held, by job, key and stamp', () => {
  const ledger = holding(A, B)
  expect(ledger.heldCount).toBe(2)
  expect(ledger.heldIds).toEqual([A, B])
  expect(ledger.heldKeys).toEqual(keysOf(A, B))
  expect(ledger.heldClaims).toEqual([
    { id: A, lockedAt: FIRST },
    { id: B, lockedAt: FIRST },
  ])
})

test('the lock of an ended attempt is releasable, once', () => {
  const ledger = holding(A, B)
  ledger.release({ id: A, lockedAt: FIRST }, true)
  ledger.release({ id: A, lockedAt: FIRST }, true)
  expect(ledger.heldIds).toEqual([B])
  expect(ledger.hasReleasable).toBe(true)
  expect(ledger.takeReleasable()).toEqual(keysOf(A))
  expect(ledger.hasReleasable).toBe(false)
  expect(ledger.takeReleasable()).toEqual([])
})

test('the end of an attempt keeps the lock of a newer claim of the same job', () => {
  const ledger = holding(A)
  ledger.hold([A], SECOND)
  ledger.release({ id: A, lockedAt: FIRST }, true)
  expect(ledger.heldClaims).toEqual([{ id: A, lockedAt: SECOND }])
  expect(ledger.takeReleasable()).toEqual([])
})

test('an attempt that ends between two sessions leaves no key for the next session to release', () => {
  const ledger = holding(A)
  ledger.release({ id: A, lockedAt: FIRST }, false)
  // The next session claims the job anew: a key would release that lock.
  ledger.hold([A], SECOND)
  expect(ledger.takeReleasable()).toEqual([])
})

test('a new session starts without releasable keys', () => {
  const ledger = holding(A, B)
  ledger.release({ id: A, lockedAt: FIRST }, true)
  ledger.noteStrays()
  ledger.sessionOpened()
  expect(ledger.mayHoldStrays).toBe(false)
  expect(ledger.takeReleasable()).toEqual([])
  expect(ledger.heldIds).toEqual([B])
})

test('jobs whose lock a new session cannot take back are lost, those that ended meanwhile are releasable', () => {
  const ledger = holding(A, B, C)
  const claims = ledger.heldClaims
  // While the locks are taken back: one attempt ends that had been lost, and one that had not.
  ledger.hold(['d'], SECOND)
  ledger.release({ id: B, lockedAt: FIRST }, false)
  expect(ledger.tookBack(claims, new Set([A, B]))).toEqual([C])
  expect(ledger.heldIds).toEqual([A, 'd'])
  expect(ledger.takeReleasable()).toEqual(keysOf(B))
})

test('an attempt that ended while its lock could not be taken back is not reported as lost', () => {
  const ledger = holding(A)
  const claims = ledger.heldClaims
  ledger.release({ id: A, lockedAt: FIRST }, false)
  expect(ledger.tookBack(claims, new Set())).toEqual([])
  expect(ledger.hasReleasable).toBe(false)
})

test('jobs that other workers took are removed, together with the locks still held for them', () => {
  const ledger = holding(A, B)
  expect(ledger.drop([B, C])).toEqual([B])
  expect(ledger.heldIds).toEqual([A])
  expect(ledger.takeReleasable()).toEqual(keysOf(B))
})

test('a claim without an answer is uncertain until its stamp is taken for release, and again if the release fails', () => {
  const ledger = holding(A)
  ledger.doubt(FIRST, [A])
  ledger.doubt(SECOND)
  expect(ledger.heldCount).toBe(0)
  // Whether a lock exists is unknown.
  expect(ledger.hasReleasable).toBe(false)
  const taken = ledger.takeUncertain()
  expect(taken).toEqual([FIRST, SECOND])
  expect(ledger.takeUncertain()).toEqual([])
  for (const stamp of taken) ledger.doubt(stamp)
  expect(ledger.takeUncertain()).toEqual([FIRST, SECOND])
})

test('a claim that becomes uncertain after the others were taken stays for the next release', () => {
  const ledger = new LockLedger()
  ledger.doubt(FIRST)
  const taken = ledger.takeUncertain()
  ledger.doubt(SECOND)
  expect(taken).toEqual([FIRST])
  expect(ledger.takeUncertain()).toEqual([SECOND])
})

test('stray locks are possible from a failed statement until all locks that are not held were released', () => {
  const ledger = holding(A)
  expect(ledger.mayHoldStrays).toBe(false)
  ledger.noteStrays()
  expect(ledger.mayHoldStrays).toBe(true)
  ledger.straysReleased()
  expect(ledger.mayHoldStrays).toBe(false)
  expect(ledger.heldIds).toEqual([A])
})
