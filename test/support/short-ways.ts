import { vi } from 'vitest'
import type { DynamoDouble } from '../local/dynamodb.ts'
import { isIntercepted } from '../local/http.ts'
import { noteCall } from './aws-calls.ts'

const shared = globalThis as { shortWays?: Map<string, DynamoDouble['exchange']> }

/**
 * Doubles by their URL, to which our own client's requests go as a call: the socket between them would take a third of
 * all the time that the tests take. `npm run test:deep` has the socket, and so have requests that an interceptor wants.
 */
shared.shortWays ??= new Map()
export const { shortWays } = shared

// This runs before each test file, so that no module has the client yet.
vi.mock('../../core/adapters/aws-post.ts', async (original) => {
  const real = await original<typeof import('../../core/adapters/aws-post.ts')>()
  const poster: typeof real.poster = (url, service, limits) => {
    const post = real.poster(url, service, limits)
    return async (headers, body, once) => {
      const exchange = isIntercepted(url.origin) ? undefined : shortWays.get(url.origin)
      if (!exchange) return post(headers, body, once)
      noteCall(headers, url.pathname, body)
      const answer = await exchange(headers, body)
      if (!answer) throw Object.assign(new Error('socket hang up'), { code: 'ECONNRESET' })
      return { status: answer.status, text: answer.body }
    }
  }
  return { ...real, poster }
})
