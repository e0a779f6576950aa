import type { Placed } from '../../functions/http/route.ts'
import { rows } from '../../functions/http/rows.ts'
import type { App } from '../support/app.ts'
import { rowKey, type Sample } from '../support/samples.ts'
import type { TestAnswer } from '../support/send.ts'
import { targetOf } from './contract.ts'

/**
 * How the repeat of a request that has succeeded is answered, for a client that lost the answer and sends the very
 * same request again.
 * - `same`: with the same status and body, and nothing is done twice.
 * - `fresh`: with the same status and another token or seed, which is as good as the lost one.
 * - `refused`: the client begins again, because the request proves something that is accepted once.
 * - `named`: as `same` with an Idempotency-Key. Without one the request is done again, as `why` says.
 */
export type RepeatAnswer = 'same' | 'fresh' | 'named' | 'refused'

/** Every row that writes, with the reason for its answer. A new row needs an entry. */
export const REPEATS: Record<string, [RepeatAnswer, why: string]> = {
  'ops.addEventEndpoint': ['fresh', 'an operator sees both in the list, and disables one'],
  'ops.changeEventEndpoint': ['same', 'the endpoint is as it was asked for'],
  'ops.rotateEventEndpoint': ['fresh', 'a secret is shown once; who has lost it rotates again'],
  'ops.testEventEndpoint': ['fresh', 'another event is sent'],
  'ops.replayEvents': ['fresh', 'the events come again, with the same ids'],
  'ops.addOperator': ['same', 'the account has the role'],
  'ops.removeOperator': ['same', 'the operator keeps the time of the removal'],
  'ops.addCoupon': ['same', 'the code names it; of two with random codes the operator stops one'],
  'ops.stopCoupon': ['same', 'the coupon keeps the time at which it was stopped'],
  'ops.comparePlans': ['same', 'nothing is written'],
  'ops.applyPlans': ['fresh', 'plans that are on sale already make no version, and the answer says so'],
  'ops.suspend': ['same', 'a suspended account stays as it is'],
  'ops.resume': ['same', 'an account that is not suspended stays as it is'],
  'ops.signOut': ['fresh', 'without a session nothing is done, and the answer says that none has ended'],
  'ops.resetTwoFactor': ['same', 'a reset that waits is found, and without a factor there is nothing to do'],
  'ops.keepTwoFactor': ['same', 'without an open reset there is nothing to stop'],
  'ops.changeEmail': ['same', 'a change to the same address that has begun is found'],
  'ops.keepEmail': ['same', 'without an open change there is nothing to stop'],
  'ops.resendMail': ['fresh', 'the owner may miss one mail more'],
  'ops.unlock': ['fresh', 'what keeps the owner out by then is lifted as well'],
  'ops.close': ['same', 'a closed account stays closed, with its time'],
  'ops.reopen': ['same', 'an active account stays active'],
  'ops.erase': ['same', 'an erased account stays erased'],
  'ops.exportAccount': ['same', 'a start within a minute is the same start; further pages only read'],
  'ops.blockCard': ['same', 'a card that is blocked stays as it is'],
  'ops.unblockCard': ['same', 'a card that is not blocked stays as it is'],
  'ops.ruleMailDomain': ['same', 'the rule that is there stays'],
  'ops.addService': ['refused', 'a credential is shown once; who has lost it revokes the service'],
  'ops.revokeService': ['same', 'the name keeps the time at which it was revoked'],
  'ops.addAdminKey': ['refused', 'a key is shown once; who has lost it revokes the key'],
  'ops.revokeAdminKey': ['same', 'the name keeps the time at which it was revoked'],
  'admin.suspendUser': ['same', 'a suspended account stays as it is'],
  'admin.activateUser': ['same', 'an account that is not suspended stays as it is'],
  'admin.setQuota': ['same', 'the units are set to what they are'],
  'api.deactivate': ['same', 'the account is blocked; any genuine token of it may learn that'],
  'api.deletePaymentMethod': ['same', 'the mark of the removed card is kept for 30 days'],
  'api.restore': [
    'same',
    'an active account stays active; the profile keeps a MAC of the code, which works once',
  ],
  'api.setBillingSettings': ['same', 'the fields are set to what they are'],
  'api.updateCurrentUser': ['same', 'the password that the account has proves that the change was made'],
  'api.verifyPayment': ['same', 'the profile names the request that has proved a card last'],
  'ops.credit': ['named', 'an operator may credit the same amount twice'],
  'ops.debit': ['named', 'an operator may debit the same amount twice'],
  'ops.grant': ['named', 'an operator may grant as many units twice'],
  'ops.reconcile': ['fresh', 'the books are compared again'],
  'ops.reconcileAccount': ['fresh', 'the account is compared again, which the audit log has'],
  'ops.refund': ['named', 'an operator may refund two parts of one size'],
  'ops.take': ['named', 'an operator may take as many units twice'],
  'ops.importUsers': ['same', 'a mark by the address is kept for good'],
  'rest.createUser': ['same', 'the names and the password prove whose account it is, for an hour'],
  'v1.keyLogin': ['fresh', 'each sign-in gives a token of its own'],
  'v1.register': ['same', 'the address and the password prove whose account it is, for an hour'],
  'rest.createApp': ['named', 'two keys may have one name, so a second key is made'],
  'rest.updateApp': ['same', 'the name and the domain are set to what they are'],
  'rest.deleteApp': ['same', 'the mark of the revoked key is kept for 48 hours'],
  'rest.updateUser': ['same', 'the profile keeps the name before, which is still in the path'],
  'v1.addPasskey': ['same', 'the passkey keeps the id of the challenge that made it'],
  'v1.passkeyChallenge': ['fresh', 'a challenge counts for nothing before its answer'],
  'v1.passkeyLogin': ['refused', 'who has seen an answer to a challenge must not sign in with it'],
  'v1.passkeyOptions': ['fresh', 'options count for nothing before their answer'],
  'v1.removePasskey': ['same', 'the profile names the passkey that was removed last'],
  'v1.changeKey': ['same', 'the settings are set to what they are'],
  'v1.renamePasskey': ['same', 'the name is set to what it is'],
  'v1.activate': ['same', 'the code is kept for an hour and more, marked as used'],
  'v1.beginRecovery': ['same', 'the code is kept for an hour and more, marked as used'],
  'v1.buy': ['named', 'a customer may refill twice, so only ten seconds make a second click'],
  'v1.changeBundle': ['same', 'nobody changes to the bundle that the account holds by that very change'],
  'v1.changeCard': ['same', 'the profile names the request that has proved a card last'],
  'v1.changePassword': ['same', 'the password that the account has proves that the change was made'],
  'v1.confirmSession': [
    'fresh',
    'the ten minutes begin again; the session keeps a MAC of the code that proved it',
  ],
  'v1.consume': ['same', 'a request id is spent once'],
  'v1.consumeBatch': ['same', 'a request id is spent once'],
  'v1.createKey': ['named', 'two keys may have one name, so a second key is made'],
  'v1.deleteKey': ['same', 'the mark of the revoked key is kept for 48 hours'],
  'v1.deleteUser': ['same', 'the account says when it is erased; any genuine token of it may learn that'],
  'v1.endSession': ['same', 'the id itself proves that it once named a session of the account'],
  'v1.enrolTwoFactor': ['same', 'the session is shown its seed again for an hour'],
  'v1.exportUser': ['same', 'a start within a minute is the same start; further pages only read'],
  'v1.finishRecovery': ['same', 'the code stays bound to its request for an hour'],
  'v1.lease': ['same', 'a request id makes a lease once'],
  'v1.login': ['fresh', 'the session of the lost answer ends by itself; a second code must be another one'],
  'v1.logout': [
    'same',
    'the session of a genuine token is ended, and the vault still knows its refresh token',
  ],
  'v1.refresh': ['fresh', 'a session may have many access tokens'],
  'v1.removeTwoFactor': ['same', 'the profile keeps a MAC of the code that switched two factors off'],
  'v1.renewLease': ['same', 'a lease ends once, and its renewal has an id'],
  'v1.requestPasswordReset': ['same', 'one request for an address waits at a time'],
  'v1.requestRecovery': ['same', 'one request for an address waits at a time'],
  'v1.resend': ['same', 'one request for an address waits at a time'],
  'v1.resetPassword': ['same', 'the code stays bound to its request for an hour'],
  'v1.reserve': ['same', 'a request id reserves once'],
  'v1.returnLease': ['same', 'a lease ends once, and its end has an id'],
  'v1.returnReservation': ['same', 'a reservation ends once, and its end has an id'],
  'v1.settleReservation': ['same', 'a reservation ends once, and its end has an id'],
  'v1.rotateKey': ['named', 'a key may be rotated twice; the key of the lost answer is refused then'],
  'v1.setAlerts': ['same', 'the alerts are what they are, and keep their state'],
  'v1.setFlags': ['same', 'the flags are set to what they are'],
  'v1.setRenewal': ['same', 'the limits are set to what they are'],
  'v1.signUpForBundle': [
    'same',
    'nobody signs up for the bundle that the account holds by that very sign-up',
  ],
  'v1.stopRecovery': ['same', 'without an open recovery there is nothing to stop'],
  'v1.stopRecoveryByLink': ['same', 'a recovery that the link has stopped stays stopped'],
  'v1.useRenewalLink': [
    'same',
    'the code may be sent again for as long as it lives, and allows or stops once',
  ],
  'v1.verifyTwoFactor': ['same', 'the recovery codes follow from the seed, and the code proves who asks'],
  'webhooks.stripe': ['same', 'an event is worked on once'],
}

const writes = ({ routes }: Placed) => routes.some((key) => !key.startsWith('GET '))
/** The rows that write, by their names. */
export const writers = rows.filter(writes).map((row) => [rowKey(row), row] as const)

/** Sends the sample of a row. @param key an Idempotency-Key */
export function sendSample(
  app: App,
  row: Placed,
  sample: Sample,
  token: string | undefined,
  key?: string,
): Promise<TestAnswer> {
  const [method, target] = targetOf(row.routes.find((each) => !each.startsWith('GET '))!, sample.path ?? {})
  const named = key === undefined ? {} : { 'idempotency-key': key }
  if (sample.raw) return app.request(method, target, { ...sample.raw })
  return app.request(method, target, {
    token,
    headers: named,
    ...(sample.body && { json: sample.body }),
  })
}
