/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clean.h - what stands before libconfuse's lexer.  Pure function.
 *
 * That lexer skips characters that it does not know, replaces environment variables, miscounts
 * lines after some comments and keeps its state after an error, which would hurt the next reload.
 * So the text is checked and its comments are blanked out first; what is left cannot get the lexer
 * into any of that.
 */
#ifndef BS_CONF_CLEAN_H
#define BS_CONF_CLEAN_H

#include <stddef.h>

#include "basestation/error.h"

/**
 * Check text[len] and replace comments by blanks, in place; lines stay where they are.
 *
 * Returns BS_OK, or BS_ECONF with *line and why[cap] (reason and remedy).
 */
int bs_conf_clean(char *text, size_t len, int *line, char *why, size_t cap) BS_MUSTCHECK;

#endif
