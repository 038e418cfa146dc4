// SPDX-License-Identifier: GPL-2.0-only
#include "hyp/cli/cli.h"

#include "hyp/cli/peers.h"
#include "hyp/cli/show.h"

static cJSON *collect(struct peer *p)
{
	cJSON *out = p->result;

	p->result = NULL;
	if (p->code == ASK_OK)
		return out;
	out = cJSON_CreateObject();
	cJSON_AddStringToObject(out, "name", p->name);
	cJSON_AddStringToObject(out, "state",
				p->code == ASK_NO_VM ? "dead" : "no answer");
	return out;
}

int cli_list(bool json)
{
	struct peers peers = { NULL };
	struct why why = { "" };
	cJSON *out, *vms;
	struct peer *p;

	if (peers_find(&peers, &why)) {
		log_line("%s", why.text);
		return ASK_USAGE;
	}
	peers_ask(&peers, "info");
	peers_wait(&peers);
	out = cJSON_CreateObject();
	vms = cJSON_AddArrayToObject(out, "vms");
	for (p = peers.first; p; p = p->next)
		cJSON_AddItemToArray(vms, collect(p));
	peers_fini(&peers);
	if (json)
		show_json(out);
	else
		show_list(vms);
	cJSON_Delete(out);
	return ASK_OK;
}
