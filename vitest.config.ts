import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // No test writes to the user's cache of indexes.
    env: { FOLIOLAB_CACHE: '' },
    testTimeout: 30_000,
    coverage: {
      provider: 'v8',
      include: ['src/**/*.ts'],
      exclude: ['src/erofs/assembly/**'],
      reporter: ['text-summary', 'html'],
    },
  },
});
