import { beforeEach, expect, test } from 'vitest'
import { readAccount } from '../../core/account/account.ts'
import { HOUR_MS } from '../../core/time.ts'
import { startApp } from '../support/app.ts'
import { loseFactors } from '../support/credentials.ts'
import { newsTo, operate, recordedOf } from '../support/operated.ts'

const app = await startApp()
const ports = await app.ports()
// The job works on every recovery that is open.
beforeEach(app.startAfresh)

const stop = (accountId: string) => operate(app, accountId, 'reset-2fa/stop')

test.each(['operator', 'owner'])(
  '204: what an %s has begun is stopped, told and recorded once',
  async (by) => {
    const person = await app.signUp()
    await loseFactors(app, person, by === 'owner' ? Date.now() : undefined)
    if (by === 'operator') await operate(app, person.accountId, 'reset-2fa')
    expect([(await stop(person.accountId)).status, (await stop(person.accountId)).status]).toEqual([204, 204])
    app.advance(80 * HOUR_MS)
    const stopped =
      by === 'operator' ? 'Two-factor authentication stays on' : 'The recovery of your account has stopped'
    expect((await newsTo(app, person)).filter((each) => each === stopped)).toHaveLength(1)
    expect((await readAccount(ports, person.accountId))?.totp).toBeDefined()
    const { audit } = await recordedOf(app, person)
    expect(audit.at(-1)).toMatchObject({
      action: 'operator.two_factor_reset_stopped',
      before: { begunBy: by },
    })
    expect(audit).toHaveLength(by === 'operator' ? 2 : 1)
  },
)
