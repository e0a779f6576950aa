import { language } from '../kit/language.ts'
import { useTheseWords } from '../kit/words.ts'
import type { Messages } from './messages/en.ts'

const load: Record<typeof language, () => Promise<Messages>> = {
  en: async () => (await import('./messages/en.ts')).en,
  de: async () => (await import('./messages/de.ts')).de,
}

export const t: Messages = await load[language]()

useTheseWords(t.words)
document.documentElement.lang = language
