import * as z from 'zod/mini'
import { email, fullName, username } from '../../../core/account/fields.ts'
import { importRefusals } from '../../../core/account/import-refusals.ts'
import { PASSWORD_HASH_MAX, parsePasswordHash } from '../../../core/credentials/password-hash.ts'
import { reasonText } from '../../../core/operators/reason.ts'
import { markdown } from '../../http/markdown.ts'
import { optionalField } from '../../http/optional-field.ts'
import type { OperatorRows } from '../../http/route.ts'
import { time } from '../../http/time-schema.ts'

/** The most users of one request, which takes seconds if all have customers at Stripe. */
export const IMPORT_BATCH = 25

const isPasswordHash = z.check<string>(({ value, issues }) => {
  const hash = parsePasswordHash(value)
  if ('refused' in hash) issues.push({ code: 'custom', input: value, message: hash.refused })
})

const user = z.strictObject({
  email,
  username,
  fullName: optionalField(fullName),
  created: optionalField(time()),
  units: optionalField(z.int().check(z.gte(0), z.lte(1_000_000_000_000))),
  customer: optionalField(
    z.string().check(z.regex(/^cus_[A-Za-z0-9]{1,64}$/, 'must be the id of a customer of Stripe, cus_…')),
  ),
  passwordHash: optionalField(
    z.string().check(z.maxLength(PASSWORD_HASH_MAX, { abort: true }), isPasswordHash),
  ),
})

const result = z.object({
  status: z.enum(['imported', 'importable', 'refused', 'unavailable']),
  id: z.optional(z.string()),
  replayed: z.optional(z.literal(true)),
  reason: z.optional(z.enum(importRefusals)),
})

const description = markdown(
  'Makes accounts as another system had them, each by itself and whole: with its confirmed address, the units that are left',
  'there (ledger kind `import`, in place of the trial), its customer and cards at Stripe, and its password. Nobody gets a',
  'mail, unless `invite` is true: then each new account gets one with a link to choose a password, valid for 7 days.',
  '',
  'A field that is not as it must be refuses the whole request with 400, and names it, such as `users.3.email`. Otherwise the',
  'answer has a result for each user, in their order:',
  '- `imported`: the account is made, and has this `id`; with `replayed: true` an earlier request has made it from the same',
  'data. A user is recognised by the address for good, so whatever is sent again makes nothing twice, also after its owner',
  'has changed the address or the account was erased.',
  '- `importable`: only with `dryRun`, which writes nothing.',
  '- `refused`: `reason` says why. `imported_differently`: an account was imported for this address from other data.',
  '`email_taken` and `username_taken`: another account has it; an address that nobody has confirmed is taken over. For the',
  'customer: `customer_unknown`, `customer_deleted` or `customer_taken`, which is one of another account.',
  '- `unavailable`: a service did not answer, so that nothing is known. Send this user again.',
  '',
  'A password hash is bcrypt (`$2a$`, `$2b$`, `$2y$`; cost 4 to 14), or in PHC form scrypt (`$scrypt$ln=15,r=8,p=1$salt$hash`;',
  'at most 128 MiB, and N times r times p at most 4,194,304) or argon2id (`$argon2id$v=19$m=65536,t=3,p=4$salt$hash`; at most',
  '256 MiB, and m times t at most 1,048,576). The first sign-in verifies it, hands the password to Amazon Cognito, and deletes',
  'the hash. No answer, export or log line shows it.',
  '',
  'Cards are read from Stripe at the moment of the import, of each card the newest entry and 25 at most. If the default card is',
  'none of them, the best one becomes it at Stripe, too. Nothing else is changed there.',
)

export const importing = {
  importUsers: {
    routes: ['POST /ops/admin/import'],
    summary: 'Imports accounts from another system, each once',
    description,
    auth: 'operator',
    role: 'admin',
    body: z.strictObject({
      reason: reasonText,
      dryRun: z.optional(z.boolean()),
      invite: z.optional(z.boolean()),
      users: z.array(user).check(z.minLength(1), z.maxLength(IMPORT_BATCH)),
    }),
    responses: { 200: z.object({ results: z.array(result) }) },
    errors: ['temporarily_unavailable'],
    needs: ['table', 'keyring', 'payments', 'paymentScope'],
  },
} as const satisfies OperatorRows
