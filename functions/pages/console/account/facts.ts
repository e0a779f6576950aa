import { moneyText, numberText, timeText } from '../../kit/language.ts'
import type { Fact } from '../action.tsx'
import { t } from '../messages.ts'
import type { AccountPage } from '../search.tsx'

const sum = (numbers: readonly number[]) => numbers.reduce((all, each) => all + each, 0)
const time = (at: string | null): string => (at === null ? t.no : timeText(at))

/** Whatever an action may change, so that before and after can be compared. */
export function factsOf({
  account,
  delivery,
  access,
  units,
  money,
  renewal,
  purchases,
  mails,
}: AccountPage): Fact[] {
  const f = t.account.facts
  return [
    [f.standing, t.standings[account.standing]],
    [f.email, account.email],
    [f.verified, account.emailVerified ? t.yes : t.no],
    [f.pendingEmail, account.pendingEmail ?? t.none],
    [f.delivery, delivery.undeliverable ? (delivery.reason ?? t.no) : t.yes],
    [f.left, numberText(units.left)],
    [f.owed, numberText(units.owed)],
    [f.balance, moneyText(money.balance, money.currency)],
    [f.renewal, renewal.state],
    [f.twofa, access.twofa ? t.on : t.off],
    [f.passkeys, numberText(access.passkeys.length)],
    [f.recovery, time(access.recoveryFinishesAt)],
    [f.sessions, numberText(access.sessions.length)],
    [f.refunded, moneyText(sum(purchases.map(({ refunded }) => refunded)), money.currency)],
    [f.mailsQueued, numberText(mails.queued.length)],
    [f.eraseAt, time(account.eraseAt)],
  ]
}
