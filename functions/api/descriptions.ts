import { CURRENCY } from '../../core/purchases/catalogue.ts'
import { cardRules, passwordRules } from '../http/descriptions.ts'
import { markdown } from '../http/markdown.ts'

/** What client authors must know of each endpoint, in Markdown, by the name of its row. */
export const descriptions = {
  getCurrentUser: markdown(
    "The account in EMCP's shape.",
    '',
    '- `name` is the full name, or the username until one is given.',
    `- \`balance\` is in ${CURRENCY}. It is negative while the account owes units that were spent before they were`,
    'refunded; see `GET /v1/ledger`.',
    '- `status` is 0 (active). An account that EMCP would show as 1 (suspended) or 2 (deactivated) gets 403 instead.',
    '- `emailVerified` says whether the e-mail address is confirmed.',
  ),
  updateCurrentUser: markdown(
    'Every field is optional. `oldPassword` and `newPassword` go together, both or neither; with two-factor',
    'authentication on, a new password also needs `twofa`. 403 `wrong_password` and a wrong `twofa` change nothing.',
    'A repeat after a lost answer is 200 again while its access token lives and the password is still this one.',
    '',
    ...passwordRules,
  ),
  deactivate: markdown(
    'Blocks the account from the next request on and keeps its data. Every session ends for good, and application keys',
    'are refused with 403. `POST /api/users/restore` makes the account active again; tokens from before stay dead.',
    '',
    'A payment or a verification that waits for 3-D Secure is canceled at Stripe, by a job if Stripe does not answer. One',
    'that has succeeded before that is credited. A repeat with a token of the account is 200 again.',
  ),
  restore: markdown(
    'Takes the same credentials as `POST /v1/auth/login`: `email` or `username`, `password`, and `twofa`, or `passkey` in its',
    'place, where two-factor authentication is on. It begins no session: sign in afterwards. Application keys work again, and auto-renewal',
    'resumes. For an account that is active the request changes nothing. A repeat may send the same `twofa` again.',
  ),
  notifications: markdown(
    'Notices come newest first, 20 a page unless `limit` (1 to 100) says otherwise. The `Link` header leads to the next',
    'page.',
    '',
    'A notice is added for each purchase, renewal, refund and dispute, when little of a bundle is left, when auto-renewal',
    'needs its owner, when a card is about to expire or has expired, and when a bank reports a card as misused.',
    '`messageType` says which; show `message` to the user.',
    '',
    'Other systems of the operator add a notice with an EventBridge event of detail-type `bursar.notice` and',
    'the detail `{accountId, messageType, message}`. `messageType` has up to 50 characters, `message` up to',
    '1,000; further fields are ignored. The same event id adds at most one notice within a week.',
  ),
  verifyPayment: markdown(
    "Proves a card that Stripe's library has turned into a payment method (`pm_…`) or a ConfirmationToken (`ctoken_…`) in",
    'the browser, and puts it on file.',
    ...cardRules,
    '',
    'For ten minutes a repeat of the request that has proved a card last is 200 again, and holds nothing.',
    '',
    'The first card of an account becomes its default card, which pays for purchases and renewals.',
    '`PUT /v1/user/card` makes another card the default one.',
  ),
  listPaymentMethods: markdown(
    "The cards in the shape of Stripe's list, newest first, all on one page. They come from Bursar's own",
    "copy, which Stripe's events keep up to date: reading never calls Stripe, and works while Stripe is",
    'down.',
    '',
    'The account gets a notice at the beginning of the month in which a card expires, and another when it',
    'has expired.',
  ),
  deletePaymentMethod: markdown(
    'The card is gone from the account at once and is detached at Stripe, by a job if Stripe does not answer. If it was',
    'the default card, the newest other card becomes the default one. For 30 days a repeat is 204 again.',
    '',
    '409 `card_in_use`: the default card cannot be removed while auto-renewal is on and the account has a bundle, or',
    'while a verification or a payment is open.',
  ),
  retrieve: markdown(
    "The account's customer in Stripe's shape; `invoice_settings.default_payment_method` names the default",
    "card. It comes from Bursar's own copy, as the cards do. 404 `not_found` until the first card is tried.",
  ),
  getBillingSettings: markdown(
    "The billing address and the tax id in EMCP's shape. It is the address of `GET /v1/user`, whose `street` is `address1`,",
    '`district` is `state` and `postCode` is `zip`. A field that is not set is null. `country` is an ISO 3166-1 alpha-2',
    'code. `_id` and `user` are the id of the account, which is a team of one.',
  ),
  setBillingSettings: markdown(
    'Changes the fields that are sent and keeps the others; an empty field is absent, and null takes `address2`, `company`,',
    '`state` or `taxId` away. An account without an address needs `address1`, `city`, `zip` and `country` at once, or',
    'none of them. The address reaches the customer at Stripe within ten minutes. The tax id is not checked, and does not',
    'go to Stripe.',
  ),
  billingHistory: markdown(
    'Payments come newest first, 25 a page unless `limit` says less; the `Link` header leads to the next page, up to the',
    "1,000th payment. `id` is the account's own id; any other id is 404. `amount` is in the minor unit of `currency`, as on",
    "EMCP's page. `status` is `paid`, `partially_refunded`, `refunded` or `disputed`, and `invoicePdf` is null:",
    '`GET /api/teams/{id}/last-invoice` and `GET /v1/invoice/{id}` have links.',
  ),
  lastInvoice: markdown(
    'The newest payment. 404 before the first one, and for any other id than that of the account. `invoicePdf` leads to',
    "Stripe's receipt, and is null if Stripe has none, or if the link has expired and Stripe does not answer.",
  ),
}
