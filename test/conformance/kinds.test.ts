import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'

/**
 * Kinds of faults that systems of this job are known for, each with the test that holds it: the file, and the words
 * of its title. A kind is one input of many, so look there before you add a case of the same kind elsewhere.
 */
const KINDS: Readonly<Record<string, readonly [file: string, title: string]>> = {
  'a retry that changes its own request': ['core/table.test.ts', 'is retried as the same request'],
  'a table that is busy': ['conformance/table-faults.deep.test.ts', 'FAULTS.flatMap'],
  'a trigger by level only': ['jobs/renew.test.ts', 'a refusal for want of units'],
  'a request that no renewal can serve': [
    'jobs/renew.test.ts',
    'of more units than a bundle holds never renews',
  ],
  'a payment that is compared once': [
    'conformance/reconciliation.deep.test.ts',
    'a payment that is open when it is ten minutes old',
  ],
  'identity by what others can edit': [
    'conformance/reconciliation.deep.test.ts',
    'a payment whose metadata was edited belongs to the purchase that has stored its id',
  ],
  'events that nobody takes': [
    'conformance/reconciliation.deep.test.ts',
    'without an endpoint at Stripe, the sweep makes the ledger follow',
  ],
  'a burst that becomes a retry storm': ['machine/renewal-crowd.deep.test.ts', 'renewals due at once'],
  'a proof that opens twice': ['v1/passkey-login.test.ts', 'a second time, and two at once'],
  'a proof made on another page': ['v1/passkey-login.test.ts', 'from a page whose name begins alike'],
  'an outage that makes work without end': [
    'machine/purchases-machine.deep.test.ts',
    'waits for the end of an outage of a day in one purchase',
  ],
  'absence taken for completion': [
    'conformance/reconciliation.deep.test.ts',
    'an absent object proves nothing while the secret key is that of another account',
  ],
  'a hot event answered by a poll': [
    'jobs/renew.test.ts',
    'starts the renewal, and no other consume calls Lambda',
  ],
  'a steady customer who is refused': ['machine/steady-use.test.ts', 'faster use than that is refused'],
  'a charge without a brake': ['v1/use-renewal-link.test.ts', 'auto-renewal is off without a sign-in'],
  'identity by id where the thing behind it changes': [
    'conformance/card-limits.deep.test.ts',
    'a payment method whose card the network replaces',
  ],
  'a rule on one of two ways': [
    'conformance/card-limits.deep.test.ts',
    'the newest other card takes the place of a default card',
  ],
  'an edge of a state machine without a message': [
    'conformance/renewal.deep.test.ts',
    'every change of the state of auto-renewal tells its owner',
  ],
  'processing time for event time': [
    'conformance/reconciliation.deep.test.ts',
    'a charge of December that is settled in January',
  ],
  'a signal about a card judged by the balance': [
    'conformance/card-limits.deep.test.ts',
    'a card that is reported as misused',
  ],
  'a limit by endpoint instead of by card': [
    'conformance/card-limits.deep.test.ts',
    'the bank is asked about a card',
  ],
  'check and act apart': ['machine/purchases-machine.deep.test.ts', 'never begins once %s forbids it'],
  'a runaway': ['conformance/renewal.deep.test.ts', 'when it is the fourth within an hour'],
  'ids that make consumes expensive': ['conformance/id-cost.deep.test.ts', 'cost no more'],
  'a customer text chosen by arithmetic': [
    'conformance/messages.test.ts',
    'a refund and a dispute of one payment',
  ],
  'a charge after deactivation': ['api/deactivate.test.ts', '3-D Secure'],
  'two stages in one account of the provider': [
    'conformance/reconciliation.deep.test.ts',
    'not of another stage in the same Stripe account',
  ],
  'a wrong card that counts as a decline': [
    'conformance/card-limits.deep.test.ts',
    'a payment method that Stripe does not accept',
  ],
  'a link that dies': ['v1/get-invoice.test.ts', 'the link to the receipt is renewed after a week'],
  'a repeat that is refused': [
    'conformance/repeats.deep.test.ts',
    'every row that writes says how its repeat is answered',
  ],
  'a filter after the limit': ['v1/list-invoices.test.ts', 'a page is full unless it is the last'],
  'an object that was deleted elsewhere': [
    'conformance/reconciliation.deep.test.ts',
    'a payment that Stripe has deleted can take no money',
  ],
  'an address that another system refuses': [
    'conformance/card-limits.deep.test.ts',
    'an international domain is sent in ASCII',
  ],
  'two entries for one thing': ['conformance/card-limits.deep.test.ts', 'the same card number twice'],
  'a mailed link to a list instead of its object': [
    'v1/get-purchase.test.ts',
    'the mailed link names a renewal that waits',
  ],
  'a limit below what the sender sends': ['webhooks/stripe.test.ts', '200 up to 1 MiB'],
  'an idempotency key on one endpoint only': [
    'conformance/card-limits.deep.test.ts',
    'on verify-payment and PUT card',
  ],
  'a lost race told to the caller': ['conformance/races.deep.test.ts', 'none is refused for a conflict'],
  'a currency written by hand': [
    'conformance/catalogue.deep.test.ts',
    'a purchase, a renewal, a refund, invoices',
  ],
  'a catalogue that is trusted': ['core/catalogue.test.ts', 'a catalogue is refused'],
  'a product that is no longer sold': [
    'conformance/catalogue.deep.test.ts',
    'a bundle that was removed from the catalogue',
  ],
}

/** The same for accounts: how accounts are taken from their owners, and how owners lose them. */
const ACCOUNT_KINDS: typeof KINDS = {
  'step-up on one endpoint only': [
    'conformance/proof.deep.test.ts',
    'has a proof, or a reason why it needs none',
  ],
  'a change of holder that forgets something': [
    'core/holder.test.ts',
    'voids the change of the address that one of the sessions has begun',
  ],
  'a key that a former holder has read': [
    'core/holder.test.ts',
    'end with the owner’s first reset, also if the owner had confirmed the address before',
  ],
  'a squatter who keeps an address': [
    'conformance/unproven.test.ts',
    'takes it from an account that never proved it',
  ],
  'a registration that nobody confirms': ['jobs/sweep.test.ts', 'an account that nobody confirms for a week'],
  'one code for two states': [
    'conformance/tokens.deep.test.ts',
    'an expired token is token_expired while its session lives',
  ],
  'a sign-out that leaves the session alive': [
    'v1/logout.test.ts',
    'an expired access token alone is not told that its session was ended',
  ],
  'a state without a way back': [
    'v1/reset-password.test.ts',
    'with two factors on it stays deactivated without a right code, and is restored with one',
  ],
  'a way back that a thief takes unseen': ['v1/begin-recovery.test.ts', 'it is announced every day'],
  'a wait that a repeat shortens': ['v1/begin-recovery.test.ts', 'do not restart or shorten the 72 hours'],
  'a counter that counts right answers': [
    'conformance/two-factor.deep.test.ts',
    'counts no right code as a wrong one, and does not use it up, but hides no wrong code',
  ],
  'a code as people type it': ['core/typed-codes.test.ts', 'a code of any kind is taken with'],
  'a lock-out that looks like a wrong password': [
    'conformance/password-lock.deep.test.ts',
    'five wrong passwords lock a name, the right password included',
  ],
  'a lock that tells which names exist': [
    'conformance/enumeration.deep.test.ts',
    'with a wrong password ten times in a row equals ten sign-ins with an unknown name',
  ],
  'an answer that was lost': [
    'conformance/repeats.deep.test.ts',
    'every row that writes says how its repeat is answered',
  ],
  'two forms of one domain': ['core/fields.test.ts', 'the key of a key is the same key'],
  'two spellings of one password': ['core/fields.test.ts', 'every password that could ever have been set'],
  'a sender that nobody can use': ['core/sender.test.ts', 'a long name is encoded in words'],
  'mail that nobody watches': ['jobs/note-mail-event.test.ts', 'marks the address: the account shows it'],
  'a suppressed mail taken for a sent one': [
    'jobs/note-mail-event.test.ts',
    'a mail that SES accepts and suppresses counts as not delivered',
  ],
  'a mail that outlives its code': [
    'jobs/send-mail.test.ts',
    'a mail that is no longer true when its turn comes',
  ],
  'a stranger’s words in our mail': ['core/mails.test.ts', 'quotes nothing that a person wrote'],
  'a name that becomes a link': ['core/mails.test.ts', 'makes no link of a name'],
  'a mailbox that strangers fill': [
    'conformance/mail-limits.deep.test.ts',
    'send one mailbox six mails an hour',
  ],
  'a limit that works against the owner': [
    'conformance/mail-limits.deep.test.ts',
    'nor keeps the owner from a code that works',
  ],
  'a public row without a limit': [
    'conformance/source-limits.deep.test.ts',
    'no row whose code tries a secret or a card, mails, or calls the vault is without that guard',
  ],
  'a change that nobody is told of': [
    'conformance/announcements.deep.test.ts',
    'every row that changes who gets in is listed',
  ],
  'a new device that nobody notices': [
    'conformance/devices.deep.test.ts',
    'from a device that the account has not used',
  ],
  'a pending change that its owner cannot see': [
    'conformance/mail-limits.deep.test.ts',
    'the owner sees the address until it is confirmed',
  ],
  'a session that cannot be ended alone': [
    'v1/end-session.test.ts',
    'another session ends from the next request on',
  ],
  'the vendor’s name in a customer’s app': ['infra/settings.test.ts', 'gets the name of the app'],
  'a name that its script cannot spell': ['core/fields.test.ts', 'fullName'],
  'two of one request, of which the shown one dies': [
    'v1/enrol-two-factor.test.ts',
    'a second enrolment an hour later gives another seed',
  ],
  'an event with one more field': ['jobs/add-notice.test.ts', 'events grow'],
  'a form field that was left empty': [
    'conformance/empty-fields.test.ts',
    'an optional field of any row may be empty',
  ],
  'an input without a length': ['conformance/bounds.deep.test.ts', 'every text that a row takes has a limit'],
  'a passkey that is replayed': ['v1/passkey-login.test.ts', 'a second time, and two at once'],
  'an export that leaves something out': [
    'v1/export-user.test.ts',
    'shows every attribute that is stored about the account, or says why it is left out',
  ],
  'a deletion that leaves something behind': [
    'v1/delete-user.test.ts',
    'nothing of the person is left, in the table, in the vault or at Stripe’s customer',
  ],
}

test.each(Object.entries({ ...KINDS, ...ACCOUNT_KINDS }))('%s: a test holds it', (_, [file, title]) => {
  const source = readFileSync(join(import.meta.dirname, '..', file), 'utf8')
  expect(source).toContain(title)
  expect(source).not.toMatch(/\.(only|todo)\(|test\.skip\(/)
})
