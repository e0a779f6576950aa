import type { Challenge } from '../ports.ts'
import { poster } from './aws-post.ts'

/** https://developers.cloudflare.com/turnstile/get-started/server-side-validation/ */
const API = 'https://challenges.cloudflare.com'
const LIMITS = { connectionTimeout: 1_000, requestTimeout: 2_000 }

/** `Challenge` by Cloudflare Turnstile. @param config.apiBase of a double; by default Cloudflare's own */
export function turnstileChallenge(config: {
  secretKey: string
  apiBase?: string | undefined
}): Pick<Challenge, 'verify'> {
  const post = poster(new URL('/turnstile/v0/siteverify', config.apiBase ?? API), 'Turnstile', LIMITS)
  const headers = { 'content-type': 'application/x-www-form-urlencoded' }
  return {
    async verify(answer, address) {
      const form = new URLSearchParams({ secret: config.secretKey, response: answer, remoteip: address })
      // Turnstile judges an answer once, so it is asked once.
      const { text } = await post(headers, form.toString(), true)
      const verdict: { success?: unknown; 'error-codes'?: unknown } = JSON.parse(text)
      // A refusal of the answer names it. Any other one is about our own settings, or an outage.
      const codes = Array.isArray(verdict['error-codes']) ? verdict['error-codes'] : []
      const isAboutAnswer = codes.some((code) => OF_ANSWERS.includes(code))
      if (verdict.success !== true && !isAboutAnswer) throw new Error('Turnstile has not judged the answer')
      return verdict.success === true
    },
  }
}

const OF_ANSWERS = ['missing-input-response', 'invalid-input-response', 'timeout-or-duplicate']
