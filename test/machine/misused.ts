import { strict as assert } from 'node:assert'
import {
  fingerprintDigest,
  fingerprintWrite,
  readFingerprint,
  withFraud,
} from '../../core/cards/fingerprint.ts'
import type { Ports } from '../../core/ports.ts'
import { writeAll } from '../../core/table/write-all.ts'

/** A payment of another account with the card of this fingerprint is reported as fraud. */
export async function misuseElsewhere(ports: Ports, fingerprint: string | undefined | null): Promise<void> {
  assert.ok(fingerprint)
  const nowMs = ports.clock.nowMs()
  const before = await readFingerprint(ports, fingerprintDigest(fingerprint))
  const after = withFraud(before, { id: 'ch_else', accountId: 'another', reason: 'card_disputed' }, nowMs)
  assert.ok(after)
  await writeAll(ports, [fingerprintWrite(before, after, nowMs)])
}
