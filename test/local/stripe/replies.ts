import { keyInUse, keyMisused, malformed } from './errors.ts'
import { own, type StoredReply, type StripeState } from './state.ts'

/** Idempotency keys: the first reply, success or error, is repeated for 24 hours. */

const DAY_MS = 86_400_000

export interface ReplyBook {
  /**
   * The stored reply for the key, if there is one.
   * @throws StripeProblem if the key was used for another request, is in use, or is too long.
   */
  find(key: string, request: string): StoredReply | undefined
  isInUse(key: string): boolean
  /** Reserves the key while its request waits. Returns a function that releases the key. */
  reserve(key: string): () => void
  keep(key: string, reply: Omit<StoredReply, 'atMs'>): void
}

export function replyBook(state: StripeState, nowMs: () => number): ReplyBook {
  const inUse = new Set<string>()
  const isForgotten = (reply: StoredReply) => reply.atMs + DAY_MS <= nowMs()
  return {
    find(key, request) {
      if (key.length > 255) throw malformed('Idempotency keys can have up to 255 characters.')
      if (inUse.has(key)) throw keyInUse(key)
      const reply = own(state.replies, key)
      if (!reply || isForgotten(reply)) return undefined
      if (reply.request !== request) throw keyMisused(key)
      return reply
    },
    isInUse: (key) => inUse.has(key),
    reserve(key) {
      inUse.add(key)
      return () => inUse.delete(key)
    },
    keep(key, reply) {
      state.replies[key] = { ...reply, atMs: nowMs() }
    },
  }
}
