import { expect, test } from 'vitest'
import { readAccount } from '../../core/account/account.ts'
import { startApp } from '../support/app.ts'
import { newsTo, operate, recordedOf } from '../support/operated.ts'
import { newPerson } from '../support/people.ts'

const app = await startApp()
const ports = await app.ports()

test.each([{}, { proof: 'A passport' }])(
  '204: a change begun with %o is stopped, told and recorded once',
  async (how) => {
    const person = await app.signUp()
    const { email } = newPerson()
    await operate(app, person.accountId, 'change-email', { email, ...how })
    const stop = () => operate(app, person.accountId, 'change-email/stop')
    await app.job('send-mail')
    expect([(await stop()).status, (await stop()).status]).toEqual([204, 204])
    expect(
      (await newsTo(app, person)).filter((each) => each === 'Your e-mail address stays as it is'),
    ).toHaveLength(1)
    const account = await readAccount(ports, person.accountId)
    expect([account?.email, account?.pendingEmail, account?.addressMove]).toEqual([
      person.email,
      undefined,
      undefined,
    ])
    if ('proof' in how) {
      const json = { code: app.mailedCode(email) }
      expect((await app.request('POST', '/v1/auth/activate', { json })).status).toBe(400)
    }
    const { audit } = await recordedOf(app, person)
    expect(audit.map(({ action }) => action)).toEqual([
      'operator.address_change_begun',
      'operator.address_change_stopped',
    ])
  },
)
