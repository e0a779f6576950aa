import type { output } from 'zod/v4/core'
import { safeParse } from 'zod/v4/core'
import type { ANSWER_HEADER } from './challenge.ts'
import type { CUSTOMER_HEADERS } from './key-caller.ts'
import type { Shapes } from './openapi-components.ts'
import type { JsonSchema } from './openapi-schemas.ts'
import type { proofHeaders } from './proof.ts'
import { asksPeople, type Placed } from './route.ts'

type Place = 'path' | 'query' | 'header'
type Kind = NonNullable<Placed['query']>

/** More than any number of a page, or of entries on a page. */
const MOST = 10_000

/**
 * A parameter whose text has to be a whole number, as a number with the least and the most that is taken: found by trying,
 * because a URL has only text.
 */
function wholeNumber(kind: Kind, name: string): JsonSchema {
  const takes = (text: string) => {
    const { error } = safeParse(kind, { [name]: text })
    return !error?.issues.some(({ path, code }) => path[0] === name && code !== 'custom')
  }
  const taken = Array.from({ length: MOST }, (_, at) => at).filter((at) => takes(String(at)))
  return { type: 'integer', minimum: taken[0], maximum: taken.at(-1) }
}

/** Names of parameters that are whole numbers in every query: a test looks that nothing else is taken. */
export const NUMBERS = ['limit', 'page']

function declared(
  shapes: Shapes,
  kind: Kind | undefined,
  place: Place,
  samples: Record<string, string> = {},
) {
  if (!kind) return []
  const { properties = {}, required = [] } = shapes.sent(kind) as {
    properties?: Record<string, JsonSchema>
    required?: string[]
  }
  return Object.entries(properties).map(([name, { description, ...schema }]) => {
    const number = place === 'query' && NUMBERS.includes(name) ? wholeNumber(kind, name) : undefined
    const sample = samples[name]
    return {
      name,
      in: place,
      required: place === 'path' || required.includes(name),
      description,
      schema: number ?? schema,
      example: number && sample !== undefined ? Number(sample) : sample,
    }
  })
}

const headers = (texts: Record<string, string>) =>
  Object.entries(texts).map(([name, description]) => ({
    name,
    in: 'header' as const,
    required: false,
    description,
    schema: { type: 'string' },
  }))

/** Headers in which a service names its customer, for rows of application keys. */
const customerHeaders = headers({
  'x-bursar-key': 'Only from a service: the application key of the customer.',
  'x-bursar-account': 'Only from a service, instead of a key: the id of the account.',
  'x-bursar-ip':
    'Only from a service: the network address of the customer, for keys with a list of addresses.',
} satisfies Record<keyof typeof CUSTOMER_HEADERS, string>)

/** Headers with a proof, for rows of accounts that need a recent one. */
const proofs = headers({
  'x-proof-password':
    'A proof of who you are, if the sign-in is more than ten minutes old: the password of an account without two-factor authentication.',
  'x-proof-code':
    'A proof of who you are, if the sign-in is more than ten minutes old: a code of an account with two-factor authentication.',
} satisfies Record<keyof output<typeof proofHeaders>, string>)

/** The header with the answer to a challenge, for rows that may ask for one. */
const answers = headers({
  'x-challenge-response':
    'The answer to a challenge, after 403 `challenge_required`: what the widget of its `siteKey` has given.',
} satisfies Record<typeof ANSWER_HEADER, string>)

/** Headers that OpenAPI describes elsewhere: the security schemes have it. */
const isParameter = ({ name }: { name: string }) => name !== 'authorization'

/** What a request of the row has besides its body. @param sample its path and query, as an example */
export const parametersOf = (
  row: Placed,
  shapes: Shapes,
  sample: { path?: Record<string, string>; query?: Record<string, string> },
) => [
  ...declared(shapes, row.path, 'path', sample.path),
  ...declared(shapes, row.query, 'query', sample.query),
  ...declared(shapes, row.headers, 'header').filter(isParameter),
  ...(row.proof === 'recent' && row.auth === 'account' ? proofs : []),
  ...(row.auth === 'key' ? customerHeaders : []),
  ...(asksPeople(row) ? answers : []),
]
